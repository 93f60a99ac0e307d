"""Whether the labels can be believed, which comes before anything that is computed from them.

Each check is ok, warn or fail, with its numbers. A failed one means that the metrics may say more
about the labels than about the model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from monitoring.performance.evaluation import rate
from monitoring.performance.outcomes import CONFLICT, MICROS_PER_DAY, Outcomes

Grade = Literal["ok", "warn", "fail"]

LEAST_COVERAGE, USUAL_COVERAGE = 0.3, 0.8
MANY_EARLY = 0.05
MANY_REVISED = 0.05
MANY_CONTRADICTED = 0.05
MANY_ORPHANS, FEW_ORPHANS = 0.5, 0.05
# Factors of the odds. From one school year to the next 0.61 became 0.40, a factor of 2.3.
JUMP_OF_ODDS, SHIFT_OF_ODDS = 4.0, 1.5
# Distance of the labelled rows' scores from those of all rows that should have a label.
STRONG_SELECTION, SOME_SELECTION = 0.10, 0.03
STRONG_IF_EARLY = 0.30  # what comes early can differ because the time differs
OVERDUE_DAYS = 30  # later than labels are due: then there should have been an import
SURE, LIKELY = 0.001, 0.01


@dataclass(frozen=True)
class Check:
    """One question about the labels, answered."""

    name: str
    status: Grade
    detail: Mapping[str, float | None]


@dataclass(frozen=True)
class Arrivals:
    """What the labels are held against: now, when they are due, and what training saw.

    `now` is microseconds since 1970 UTC. `orphans` of `labels` known ones match no prediction.
    """

    now: int
    delay_days: int
    training_rows: int
    training_positives: int
    training_entities: int
    labels: int
    orphans: int

    def due(self, outcomes: Outcomes) -> NDArray[np.bool_]:
        """Which rows should have a label by now, shape (rows,)."""
        return outcomes.times + self.delay_days * MICROS_PER_DAY <= self.now

    @property
    def base_rate(self) -> float | None:
        return self.training_positives / self.training_rows if self.training_rows else None


def confirm(outcomes: Outcomes, arrivals: Arrivals) -> tuple[Check, ...]:
    """All checks, always in the same order."""
    due = arrivals.due(outcomes)
    known = outcomes.take(outcomes.labelled)
    conflicts = int(np.count_nonzero(outcomes.labels == CONFLICT))
    return (
        _coverage(outcomes.labelled[due]),
        _delay(known, arrivals.delay_days),
        _duplicates(known),
        _conflicts(len(known), conflicts),
        _orphans(arrivals),
        _base_rate(known, arrivals),
        _one_class(known, arrivals.base_rate),
        _selective(outcomes, due),
    )


def failed(checks: Sequence[Check]) -> bool:
    return any(check.status == "fail" for check in checks)


def document(outcomes: Outcomes, arrivals: Arrivals, checks: Sequence[Check]) -> dict[str, Any]:
    """`labels` of the performance document."""
    due = arrivals.due(outcomes)
    known = outcomes.take(outcomes.labelled)
    positives = int(np.count_nonzero(known.labels))
    days = _delay_days(known)
    spread = np.percentile(days, [50, 95]).tolist() if len(days) else None
    return {
        "predictions": len(outcomes),
        "due": int(np.count_nonzero(due)),
        "labelled": len(known),
        "coverage": _share(outcomes.labelled[due]),
        "delay_days": spread and dict(zip(("median", "p95"), spread, strict=True)),
        "overdue_days": arrivals.delay_days + OVERDUE_DAYS,
        "revised": int(np.count_nonzero(known.revised)),
        "conflicts": int(np.count_nonzero(outcomes.labels == CONFLICT)),
        "orphans": arrivals.orphans,
        "positives": positives,
        "base_rate": positives / len(known) if len(known) else None,
        "base_rate_training": arrivals.base_rate,
        "checks": [asdict(check) for check in checks],
    }


def _coverage(labelled: NDArray[np.bool_]) -> Check:
    share = _share(labelled)
    missing = 0.0 if share is None else 1 - share
    grade = _grade(missing, warn=1 - USUAL_COVERAGE, fail=1 - LEAST_COVERAGE)
    counts = {"due": len(labelled), "labelled": int(np.count_nonzero(labelled))}
    return Check("coverage", grade, counts | {"coverage": share})


def _delay(known: Outcomes, delay_days: int) -> Check:
    """A label can be known on the day of the prediction, and not on an earlier one."""
    early = _share(known.early)
    median = float(np.median(_delay_days(known))) if len(known) else None
    grade: Grade = _grade(early or 0.0, warn=0.0, fail=MANY_EARLY)
    if grade == "ok" and median is not None and median > delay_days:
        grade = "warn"  # then `due` is not when labels come, and coverage says little
    return Check("delay", grade, {"early": early, "median": median, "expected": delay_days})


def _duplicates(known: Outcomes) -> Check:
    revised, contradicted = _share(known.revised), _share(known.contradicted)
    grade = _grade(contradicted or 0.0, warn=0.0, fail=MANY_CONTRADICTED)
    if grade == "ok" and (revised or 0.0) > MANY_REVISED:
        grade = "warn"
    return Check("duplicates", grade, {"revised": revised, "contradicted": contradicted})


def _conflicts(known: int, conflicts: int) -> Check:
    share = conflicts / max(known + conflicts, 1)
    grade = _grade(share, warn=0.0, fail=MANY_CONTRADICTED)
    return Check("conflicts", grade, {"conflicts": conflicts, "share": share})


def _orphans(arrivals: Arrivals) -> Check:
    share = arrivals.orphans / max(arrivals.labels, 1)
    grade = _grade(share, warn=FEW_ORPHANS, fail=MANY_ORPHANS)
    return Check("orphans", grade, {"orphans": arrivals.orphans, "share": share})


def _base_rate(known: Outcomes, arrivals: Arrivals) -> Check:
    """Two proportions by the normal test over effective rows; the effect is a factor of the odds,
    with half a count added to each cell (Haldane, 1956)."""
    now = rate(known.labels == 1, known.entities)
    before = arrivals.base_rate
    if now.value is None or before is None:
        return Check("base_rate", "ok", {"now": now.value, "training": before, "p": None})
    p = _two_proportions_p(now.value, now.effective, before, float(arrivals.training_entities))
    odds = (now.successes + 0.5) / (now.trials - now.successes + 0.5)
    negatives = arrivals.training_rows - arrivals.training_positives
    factor = odds * (negatives + 0.5) / (arrivals.training_positives + 0.5)
    jump = abs(math.log(factor))
    grade: Grade = "ok"
    if p < LIKELY:
        grade = _grade(jump, warn=math.log(SHIFT_OF_ODDS), fail=math.log(JUMP_OF_ODDS))
    detail = {"now": now.value, "training": before, "p": p, "odds_factor": factor}
    return Check("base_rate", grade, detail)


def _one_class(known: Outcomes, base_rate: float | None) -> Check:
    """One class alone is a fault of the labels unless so few rows would have it by chance."""
    seen = rate(known.labels == 1, known.entities)
    detail: dict[str, float | None] = {
        "positives": seen.successes,
        "negatives": seen.trials - seen.successes,
    }
    if 0 < seen.successes < seen.trials or not seen.trials:
        return Check("one_class", "ok", detail)
    share = 0.5 if base_rate is None else base_rate
    chance = (share if seen.successes else 1 - share) ** seen.effective
    return Check("one_class", "fail" if chance < LIKELY else "warn", detail | {"chance": chance})


def _selective(outcomes: Outcomes, due: NDArray[np.bool_]) -> Check:
    """Kolmogorov and Smirnov's test of labelled against unlabelled rows' scores.

    The effect is its distance times the unlabelled share: how far the labelled rows are from all
    that should have a label, so that a few odd rows without one do not matter. Where all due rows
    have a label, those that came early are compared with the rows still to come.
    """
    unlabelled = ~outcomes.labelled & due
    early = not unlabelled.any()
    labelled = outcomes.labelled & (~due if early else np.ones_like(due))
    unlabelled = ~outcomes.labelled & (~due if early else due)
    if not (labelled.any() and unlabelled.any()):
        return Check("selective", "ok", {"distance": None, "effect": None, "p": None})
    one, other = outcomes.take(labelled), outcomes.take(unlabelled)
    distance = _distance(one.scores, other.scores)
    sizes = [len(np.unique(part.entities)) for part in (one, other)]
    p = float(kolmogorov(distance * math.sqrt(sizes[0] * sizes[1] / sum(sizes))))
    effect = distance * len(other) / (len(one) + len(other))
    grade: Grade = "ok"
    if p < SURE and effect > (STRONG_IF_EARLY if early else STRONG_SELECTION):
        grade = "fail"
    elif p < LIKELY and effect > SOME_SELECTION:
        grade = "warn"
    detail = {"distance": distance, "effect": effect, "p": p}
    means = {"score_labelled": one.scores.mean(), "score_unlabelled": other.scores.mean()}
    return Check("selective", grade, detail | {name: float(mean) for name, mean in means.items()})


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The largest gap between two empirical distributions."""
    points = np.concatenate([one, other])
    gaps = [
        np.searchsorted(np.sort(part), points, side="right") / len(part) for part in (one, other)
    ]
    return float(np.abs(gaps[0] - gaps[1]).max())


def _two_proportions_p(one: float, rows: float, other: float, other_rows: float) -> float:
    """Two-sided, with the pooled variance."""
    pooled = (one * rows + other * other_rows) / (rows + other_rows)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / other_rows))
    return math.erfc(abs(one - other) / deviation / math.sqrt(2)) if deviation else 1.0


def _delay_days(known: Outcomes) -> NDArray[np.float64]:
    return np.asarray((known.observed - known.times) / MICROS_PER_DAY)


def _share(rows: NDArray[np.bool_]) -> float | None:
    return float(rows.mean()) if len(rows) else None


def _grade(share: float, *, warn: float, fail: float) -> Grade:
    """By what is more than the limits."""
    return "fail" if share > fail else "warn" if share > warn else "ok"
