"""What a drill is: a fault, the alert it raises, and what the runbook does about it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitoring.drills.scene import Scene
from monitoring.watching.rules import Pace

# An alert's ten minutes take six seconds. A scrape that a busy machine answers after half a second
# is no outage.
_PACE = Pace(factor=100, scrape_seconds=0.8)


def _as_it_is(home: Path) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Plot:
    """`play` goes through the stages; `companions` are alerts that the same fault may raise beside
    `alert`, and why stands in the drill's module. `bad` are versions that it needs beside the good
    ones, `configuration` other values by section, `around` what the state needs before the service
    starts, `reports` whether the background reports are made all the time, `pace` how fast the
    alerts go."""

    name: str
    fault: str
    alert: str
    play: Callable[[Scene], None]
    companions: frozenset[str] = frozenset()
    bad: tuple[str, ...] = ()
    configuration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    around: Callable[[Path], AbstractContextManager[None]] = _as_it_is
    reports: bool = False
    pace: Pace = _PACE
