"""Performance: how a version did on the predictions whose outcome is known, and what that proves.

Recall below its floor is an alarm only where it is more than bad luck:

- `yellow`, breach: recall is below the floor, and a healthy recall is refuted (one-sided exact
  binomial test at 5 %). Healthy is the training recall, but at most 5 points above the floor, and
  at least the floor. So a model that is as good as it was cries wolf in 5 % of windows at most,
  however few positives there are, and so does any that is 5 points above the floor; from some 230
  positives on, every recall below the floor of a model trained at 0.75 is a breach.
- `red`, confirmed: such a breach, and the whole 95 % interval lies below the floor.
- `green`: recall is at or above the floor, and 10 points below it lies outside the interval.
- `inconclusive` otherwise. Without positives recall is undefined, which is neither 0 nor fine; and
  where the labels themselves look wrong, no colour is given on them, good or bad.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from scipy.special import betainc

from monitoring.drift.comparison import Status
from monitoring.performance import cbpe, label_checks, segments
from monitoring.performance.calibrator import CalibrationReference
from monitoring.performance.cbpe import PerformanceEstimate, ScoreCounts
from monitoring.performance.evaluation import (
    ALL_METRICS,
    Estimate,
    Rate,
    calibration_bins,
    evaluate,
    rate,
)
from monitoring.performance.label_checks import Arrivals
from monitoring.performance.outcomes import MICROS_PER_DAY, Outcomes

Reason = Literal[
    "breach", "confirmed", "fine", "few_positives", "no_positives", "no_labels", "labels_doubtful"
]

SEED = 0  # the same rows always get the same report
RESAMPLES = 500
HEALTHY_ABOVE_FLOOR = 0.05
GREEN_RULES_OUT = 0.10
MAX_P = 0.05
_FIRST_MONDAY = -3  # days since 1970-01-01, which was a Thursday
_WEEK = 7
_SLIVER = 1e-9


@dataclass(frozen=True)
class Verdict:
    """The colour and why."""

    status: Status
    reason: Reason


def judge(recall: Rate, *, floor: float, training: float | None) -> Verdict:
    """What the recall of labelled rows, one at least, says; `training` is the version's own."""
    found = recall.estimate
    if found.value is None or found.low is None or found.high is None:
        return Verdict("inconclusive", "no_positives")
    healthy = min(floor + HEALTHY_ABOVE_FLOOR, (floor + 1) / 2)
    if training is not None:
        healthy = min(max(training, floor), healthy)
    if found.value < floor and _p_this_low(recall, healthy) <= MAX_P:
        confirmed = found.high < floor
        return Verdict("red", "confirmed") if confirmed else Verdict("yellow", "breach")
    if found.value >= floor and found.low >= floor - GREEN_RULES_OUT:
        return Verdict("green", "fine")
    return Verdict("inconclusive", "few_positives")


@dataclass(frozen=True)
class Standard:
    """What the rows are held against: the floor of recall, and what the version keeps.

    `calibration` is None where it keeps none, and then there is no estimate.
    """

    floor: float
    threshold: float
    training: Mapping[str, Estimate]
    calibration: CalibrationReference | None


def analyse(outcomes: Outcomes, arrivals: Arrivals, standard: Standard) -> dict[str, Any]:
    """The part of the performance document that comes from the rows, one at least."""
    checks = label_checks.confirm(outcomes, arrivals)
    known = outcomes.take(outcomes.labelled)
    doubtful = label_checks.failed(checks)
    verdict = _verdict(known, standard, doubtful=doubtful)
    compared = segments.compare(known.columns, known.labels == 1, known.flags, known.entities)
    labels = label_checks.document(outcomes, arrivals, checks)
    overdue = not len(known) and labels["due"] > 0
    warned = any(check.status == "warn" for check in checks) or any(s.worse for s in compared)
    metrics = _metrics(known)
    estimated = _estimate(known if len(known) else outcomes, standard)
    return {
        "status": verdict.status,
        "reason": verdict.reason,
        "recall_floor": standard.floor,
        "labels": labels,
        "metrics": _documents(metrics, ALL_METRICS),
        "training": _documents(standard.training, ALL_METRICS),
        "weeks": list(_weeks(outcomes)),
        "segments": [segment.to_dict() for segment in compared],
        "reliability": list(_reliability(known)),
        "estimate": estimated
        and estimated.to_dict() | {"training": _documents(standard.training, estimated.metrics)},
        "estimate_error": estimated and _errors(estimated.metrics, metrics),
        "next_step": _next_step(verdict, suspicious=doubtful or overdue, warned=warned),
    }


def _verdict(known: Outcomes, standard: Standard, *, doubtful: bool) -> Verdict:
    if not len(known):
        return Verdict("inconclusive", "no_labels")
    trained = standard.training.get("recall")
    verdict = judge(
        _recall(known), floor=standard.floor, training=trained.value if trained else None
    )
    if doubtful and verdict.reason != "no_positives":
        return Verdict("inconclusive", "labels_doubtful")
    return verdict


def _estimate(outcomes: Outcomes, standard: Standard) -> PerformanceEstimate | None:
    """What would have been said of these rows without any label."""
    if standard.calibration is None:
        return None
    return cbpe.estimate(
        standard.calibration,
        ScoreCounts.of(outcomes.scores, threshold=standard.threshold),
        rows_per_entity=len(outcomes) / len(np.unique(outcomes.entities)),
        resamples=RESAMPLES,
        seed=SEED,
    )


def _errors(
    estimated: Mapping[str, Estimate], realised: Mapping[str, Estimate]
) -> dict[str, float] | None:
    """Estimated less realised, of the metrics that both have; None where nothing was realised."""
    errors = {}
    for name, guess in estimated.items():
        real = realised[name].value if name in realised else None
        if guess.value is not None and real is not None:
            errors[name] = round(guess.value - real, 6)
    return errors or None


def _documents(metrics: Mapping[str, Estimate], names: Iterable[str]) -> dict[str, Any]:
    return {name: metrics[name].to_dict() for name in names if name in metrics}


def _next_step(verdict: Verdict, *, suspicious: bool, warned: bool) -> str:
    """`suspicious` labels are doubtful or overdue."""
    if suspicious:
        return "check_labels"
    return {
        "confirmed": "roll_back_check",
        "breach": "retrain_check",
        "fine": "watch" if warned else "nothing",
        "few_positives": "more_rows",
        "no_positives": "more_rows",
        "no_labels": "wait_for_labels",
    }[verdict.reason]


def _p_this_low(recall: Rate, healthy: float) -> float:
    """Probability of so few successes or fewer, if the rate were `healthy`: the binomial
    distribution as an incomplete beta function, which takes an effective number of rows too."""
    caught = recall.effective * recall.successes / recall.trials
    return float(betainc(max(recall.effective - caught, _SLIVER), caught + 1, 1 - healthy))


def _recall(known: Outcomes) -> Rate:
    positive = known.labels == 1
    return rate(known.flags[positive], known.entities[positive])


def _precision(known: Outcomes) -> Rate:
    return rate(known.labels[known.flags] == 1, known.entities[known.flags])


def _metrics(known: Outcomes) -> dict[str, Estimate]:
    """All metrics of labelled rows: the two rates with Wilson's interval, the rest bootstrapped."""
    if not len(known):
        return dict.fromkeys(ALL_METRICS, Estimate(None, None, None))
    found = evaluate(
        known.labels,
        known.scores,
        known.flags,
        known.entities,
        resamples=RESAMPLES,
        seed=SEED,
    )
    rates = {"recall": _recall(known).estimate, "precision": _precision(known).estimate}
    return {name: rates.get(name, found.metrics[name]) for name in ALL_METRICS}


def _weeks(outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    """Each ISO week with predictions, in order; a week starts on Monday, UTC."""
    weeks = (outcomes.times // MICROS_PER_DAY - _FIRST_MONDAY) // _WEEK
    for week in np.unique(weeks).tolist():
        part = outcomes.take(weeks == week)
        known = part.take(part.labelled)
        monday = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=week * _WEEK + _FIRST_MONDAY)
        yield {
            "start": monday.date().isoformat(),
            "rows": len(part),
            "labelled": len(known),
            "positives": int(np.count_nonzero(known.labels)),
            "recall": _recall(known).estimate.to_dict(),
            "precision": _precision(known).estimate.to_dict(),
        }


def _reliability(known: Outcomes) -> Iterator[dict[str, Any]]:
    """Up to ten bins of equal mass, lowest scores first."""
    for rows in calibration_bins(known.scores) if len(known) else ():
        observed = rate(known.labels[rows] == 1, known.entities[rows]).estimate
        yield {
            "score": float(known.scores[rows].mean()),
            "observed": observed.value,
            "low": observed.low,
            "high": observed.high,
            "rows": len(rows),
        }
