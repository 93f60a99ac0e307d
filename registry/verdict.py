"""What a comparison came to: the facts that stand in the history, and the words for them.

Standard library only, so that whoever shows a history need not load what worked the verdict out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["pass", "fail", "undecided"]
_TITLES = {
    "recall": "recall",
    "precision": "precision",
    "calibration": "calibration error",
    "segment_recall": "recall of the worst segment",
    "roc_auc": "ROC-AUC",
}
_DIGITS = 6


@dataclass(frozen=True)
class Check:
    """One guardrail, in fractions of 1.

    `difference` is challenger minus champion, `low` to `high` its interval, and `limit` how far it
    may go: the least it may be, or for `calibration`, an error, the most. A model that is judged
    alone has no difference: then the interval and the limit are those of the metric itself.
    """

    name: str
    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None
    limit: float | None
    status: Status
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            key: round(value, _DIGITS) + 0.0 if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Check":
        """The inverse of `to_dict`."""
        return cls(**facts)


@dataclass(frozen=True)
class Verdict:
    """`rows`, `positives` and `entities` are those of the held-out rows that it rests on."""

    status: Status
    rows: int
    positives: int
    entities: int
    checks: tuple[Check, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON, small enough for a line of the history."""
        return {
            "status": self.status,
            "rows": self.rows,
            "positives": self.positives,
            "entities": self.entities,
            "checks": [check.to_dict() for check in self.checks],
            "note": self.note,
        }


def worst(checks: tuple[Check, ...]) -> Status:
    """`fail` where one fails, else `undecided` where one is, else `pass`."""
    found = {check.status for check in checks}
    return "fail" if "fail" in found else "undecided" if "undecided" in found else "pass"


def points(check: Check) -> str:
    """A check for people, such as `recall 0.793 → 0.781, −1.2 points (−3.4 to +0.9), limit −2.0:
    undecided`."""
    title = _TITLES.get(check.name, check.name)
    words = f"{title} {_value(check.challenger)}"
    if check.difference is not None:
        words = f"{title} {_value(check.champion)} → {_value(check.challenger)}"
        words += f", {_points(check.difference)} points"
        words += f" ({_points(check.low)} to {_points(check.high)}), limit {_points(check.limit)}"
    elif check.low is not None:
        words += f" ({_value(check.low)} to {_value(check.high)}), above {_value(check.limit)}"
    elif check.champion is not None:
        words = f"{title} {_value(check.champion)} → {_value(check.challenger)}"
    words += f": {check.status}"
    return f"{words} ({check.note})" if check.note else words


def _value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _points(value: float | None) -> str:
    """In hundredths of 1 with a sign; what rounds to nothing is +0.0."""
    return "undefined" if value is None else f"{round(value * 100, 1) + 0.0:+.1f}".replace("-", "−")
