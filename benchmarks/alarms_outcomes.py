"""What a tool said of a stream, held against what was done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.alarms_streams import Truth
from monitoring.statistics import wilson

ALARMS = ("yellow", "red")


@dataclass(frozen=True)
class Ours:
    """One drift document. `found`: every changed feature is yellow or red; `named`: with the right
    cause; `day`: that began on the right day; `accused`: a bug was named in any other feature."""

    red: bool
    alarm: bool
    joint: bool
    found: bool
    named: bool
    day: bool
    accused: bool


@dataclass(frozen=True)
class Theirs:
    """One answer of another tool; `found`: an alarm on a changed feature."""

    alarm: bool
    found: bool


@dataclass(frozen=True)
class Rate:
    """How often something was so."""

    hits: int
    trials: int

    @classmethod
    def of(cls, facts: Sequence[bool]) -> "Rate":
        return cls(sum(facts), len(facts))

    @property
    def share(self) -> float:
        return self.hits / self.trials

    def to_dict(self) -> dict[str, Any]:
        """With Wilson's 95 % interval."""
        low, high = wilson(self.hits, self.trials)
        return {"hits": self.hits, "trials": self.trials, "low": low, "high": high}

    def __str__(self) -> str:
        return f"{100 * self.share:.1f}"


def ours(document: Mapping[str, Any], truth: Truth) -> Ours:
    """Read a drift document. Red and alarm are of any feature or the score; `joint` of the
    multivariate check."""
    statuses = {item["name"]: item["status"] for item in document["features"]}
    colours = {document["score"]["status"], *statuses.values()}
    joint = document["multivariate"]
    causes = [c for c in document["causes"] if c["feature"] in truth.features]
    named = bool(truth.features) and all(
        any(c["feature"] == name and _is(c, truth) for c in causes) for name in truth.features
    )
    return Ours(
        red="red" in colours,
        alarm=not colours.isdisjoint(ALARMS),
        joint=joint is not None and joint["status"] in ALARMS,
        found=bool(truth.features) and all(statuses[name] in ALARMS for name in truth.features),
        named=named,
        day=named and all(_day(cause["since"]) == _day(truth.since) for cause in causes),
        accused=any(c["is_bug"] and c["feature"] not in truth.features for c in document["causes"]),
    )


def theirs(answer: Mapping[str, Any], truth: Truth) -> Theirs | None:
    """Read another tool's answer; None where it could give none."""
    if "error" in answer:
        return None
    alarms = {name for name, verdict in answer.items() if verdict["alarm"]}
    return Theirs(alarm=bool(alarms), found=not alarms.isdisjoint(truth.features))


def _is(cause: Mapping[str, Any], truth: Truth) -> bool:
    right = truth.detail.get(cause["feature"], {})
    return cause["kind"] == truth.kind and all(
        cause["detail"].get(key) == value for key, value in right.items()
    )


def _day(moment: datetime | str | None) -> str | None:
    return None if moment is None else str(moment)[:10]
