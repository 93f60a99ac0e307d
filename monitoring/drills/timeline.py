"""What happened in a drill, as facts: pure, and tested without a drill."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

StageName = Literal["start", "fault", "alert", "diagnosis", "recovery", "resolution"]
STAGES: tuple[StageName, ...] = (
    "start", "fault", "alert", "diagnosis", "recovery", "resolution",
)  # fmt: skip
Outcome = Literal["recovered", "failed", "impossible"]
EXIT_CODES: dict[Outcome, int] = {"recovered": 0, "impossible": 3, "failed": 1}


@dataclass(frozen=True)
class Command:
    """One command of the runbook that was run: as a person would type it, its seconds, its exit."""

    stage: StageName
    text: str
    seconds: float
    exit_code: int


@dataclass(frozen=True)
class Stage:
    """One stage that came to its end, and what the client got in it; `ended` is in seconds since
    the fault was in, so that it is negative before."""

    name: StageName
    ended: float
    statuses: dict[str, int]

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        return self.requests - self.statuses.get("200", 0)


@dataclass(frozen=True)
class Timeline:
    """A drill from its start to its end. `failed_stage` and `problem` where it did not recover;
    `fired` are all alerts that fired meanwhile, of which `alert` and `companions` are expected;
    `told` are those that somebody was told, as no other one silenced them."""

    drill: str
    fault: str
    alert: str
    companions: frozenset[str]
    stages: tuple[Stage, ...] = ()
    commands: tuple[Command, ...] = ()
    notes: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    failed_stage: StageName | None = None
    problem: str | None = None
    impossible: bool = False

    @property
    def outcome(self) -> Outcome:
        if self.impossible:
            return "impossible"
        return "recovered" if self.problem is None else "failed"

    @property
    def unexpected(self) -> tuple[str, ...]:
        """Alerts that fired and that this fault does not explain."""
        return tuple(sorted(set(self.fired) - {self.alert} - self.companions))

    def at(self, name: StageName) -> float | None:
        """Seconds from the fault to the end of a stage; None where it was not reached."""
        return next((stage.ended for stage in self.stages if stage.name == name), None)

    def command_seconds(self) -> float:
        """What the commands took that a person runs between the alert and the recovery."""
        told = ("diagnosis", "recovery")
        return sum(command.seconds for command in self.commands if command.stage in told)

    def to_dict(self) -> dict[str, Any]:
        """As `--json` has it; seconds with milliseconds, None for what was not reached."""
        times = {name: _rounded(self.at(name)) for name in STAGES[1:]}
        return {
            "drill": self.drill,
            "fault": self.fault,
            "outcome": self.outcome,
            "failed_stage": self.failed_stage,
            "problem": self.problem,
            "alert": self.alert,
            "companions": sorted(self.companions),
            "fired": list(self.fired),
            "told": list(self.told),
            "unexpected": list(self.unexpected),
            "seconds": times,
            "command_seconds": _rounded(self.command_seconds()),
            "commands": [
                {**asdict(one), "seconds": _rounded(one.seconds)} for one in self.commands
            ],
            "requests": {stage.name: stage.statuses for stage in self.stages},
            "notes": list(self.notes),
        }


def tally(statuses: Sequence[int]) -> dict[str, int]:
    """How often each status was answered; `none` where there was no answer."""
    counted = Counter(str(status) if status else "none" for status in statuses)
    return dict(sorted(counted.items()))


def exit_code(timelines: Sequence[Timeline]) -> int:
    """0 all recovered, 1 one did not, else 3 where one could not be drilled here."""
    outcomes = {timeline.outcome for timeline in timelines}
    for outcome in ("failed", "impossible"):
        if outcome in outcomes:
            return EXIT_CODES[outcome]
    return 0


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
