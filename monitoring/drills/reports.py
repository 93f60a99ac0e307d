"""The background reports in a drill's time: where five minutes are seconds, the command that the
service runs every five minutes is run all the time."""

import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson

from monitoring.drills.running import run
from monitoring.drills.scene import Scene

_PAUSE_SECONDS = 0.5
_COMMAND = ["nice", "-n", "19", sys.executable, "-m", "monitoring.refresh"]


class Reports:
    """`python -m monitoring.refresh`, over and over, from entering the block to leaving it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            run(_COMMAND, self._environment)


def latest(scene: Scene, kind: str) -> dict[str, Any]:
    """The newest report of a kind; empty where there is none."""
    try:
        content = (scene.state.latest_reports / f"{kind}.json").read_bytes()
    except FileNotFoundError:
        return {}
    return dict(orjson.loads(content))
