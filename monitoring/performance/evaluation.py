"""How good a model is, with 95 % intervals that know that rows of one entity are alike.

Resampling whole entities keeps rows of one pupil (or aircraft) together, so that an interval is not
narrower than the data deserve (Field and Welsh, 2007, on the cluster bootstrap). A single rate, on
which alarms rest, has Wilson's interval over the effective number of rows instead: it holds with
few rows too, where a bootstrap that never saw a failure claims certainty.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.statistics import wilson

Floats = NDArray[np.float64]
METRICS = ("recall", "precision", "pr_auc", "roc_auc", "brier", "ece")
"""What a model card shows."""
ALL_METRICS = (*METRICS, "f1", "f2")
_CALIBRATION_BINS = 10
_ENOUGH_ENTITIES = 30  # with fewer, how alike rows of one entity are cannot be estimated


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval; None where it is undefined (no positives, none flagged)."""

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Evaluation:
    """One rule or model on one set of rows."""

    rows: int
    positives: int
    flagged: int
    metrics: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, object]:
        return {
            "rows": self.rows,
            "positives": self.positives,
            "flagged": self.flagged,
            "metrics": {name: self.metrics[name].to_dict() for name in ALL_METRICS},
        }


@dataclass(frozen=True)
class Rate:
    """`successes` of `trials` rows, which are worth `effective` independent ones."""

    successes: int
    trials: int
    effective: float

    @property
    def value(self) -> float | None:
        """None without trials: a rate of nothing is undefined, not 0."""
        return self.successes / self.trials if self.trials else None

    @property
    def estimate(self) -> Estimate:
        """The rate with Wilson's interval over the effective number of rows."""
        if self.value is None:
            return Estimate(None, None, None)
        low, high = wilson(self.value * self.effective, self.effective)
        return Estimate(round(self.value, 6), round(low, 6), round(high, 6))


def rate(successes: NDArray[np.bool_], entities: NDArray[np.intp]) -> Rate:
    """The rate of successes among rows of the entities 0, 1, …, both of shape (rows,).

    Effective are rows / (1 + (m - 1) r): m is the mean number of rows that a row's entity has
    (Kish, 1965, Survey Sampling), r the intraclass correlation by analysis of variance, clipped to
    0..1 (Donner, 1986); r = 1 where there are too few entities to estimate it, or only one outcome.
    """
    rows, hits = len(successes), int(np.count_nonzero(successes))
    if rows == 0:
        return Rate(0, 0, 0.0)
    counts = np.bincount(entities)
    present = counts > 0
    inside = np.asarray(np.bincount(entities, weights=successes)[present], dtype=np.float64)
    sizes = counts[present].astype(np.float64)
    crowd = float((sizes**2).sum()) / rows
    alike = 1.0
    if rows > len(sizes) and rows / crowd >= _ENOUGH_ENTITIES and 0 < hits < rows:
        alike = _intraclass_correlation(inside, sizes, crowd)
    return Rate(hits, rows, rows / (1 + (crowd - 1) * alike))


def _intraclass_correlation(hits: Floats, sizes: Floats, crowd: float) -> float:
    """How alike the outcomes of one entity are, 0..1, from hits and rows of each entity."""
    rows, groups = float(sizes.sum()), len(sizes)
    shares = hits / sizes
    between = float((sizes * (shares - hits.sum() / rows) ** 2).sum()) / (groups - 1)
    within = float((hits * (1 - shares)).sum()) / (rows - groups)
    typical = (rows - crowd) / (groups - 1)
    return min(max((between - within) / (between + (typical - 1) * within), 0.0), 1.0)


def evaluate(
    target: NDArray[np.int8],
    scores: Floats,
    flags: NDArray[np.bool_],
    entities: NDArray[np.int64],
    *,
    resamples: int,
    seed: int,
) -> Evaluation:
    """Evaluate scores in [0, 1] and the flags made of them, all of shape (rows,).

    PR-AUC is average precision, ROC-AUC counts a tie as half, ECE uses ten bins of equal mass
    (Nixon et al., 2019), F1 and F2 need positives as recall does. There is one row at least.
    """
    sample = Sample(target, scores, flags)
    point = sample.metrics(np.ones(len(target)))
    draws = np.empty((resamples, len(ALL_METRICS)))
    ece = ALL_METRICS.index("ece")
    for draw, weights in enumerate(row_weights(entities, resamples=resamples, seed=seed)):
        draws[draw] = sample.metrics(weights)
    # A distance is never negative, so the noise that a resample adds only ever makes it larger.
    draws[:, ece] = np.maximum(draws[:, ece] - draws[:, ece].mean() + point[ece], 0)
    estimates = {
        name: estimate(point[index], draws[:, index]) for index, name in enumerate(ALL_METRICS)
    }
    return Evaluation(len(target), int(target.sum()), int(flags.sum()), estimates)


def row_weights(entities: NDArray[np.int64], *, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row, whose entity is a code, stands in each resample of whole entities with
    replacement: shape (rows,)."""
    groups, codes = np.unique(entities, return_inverse=True)
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        picked = rng.integers(0, len(groups), len(groups))
        yield np.bincount(picked, minlength=len(groups))[codes].astype(np.float64)


def calibration_curve(target: NDArray[np.int8], scores: Floats) -> tuple[Floats, Floats]:
    """Mean score and share of positives in up to ten bins of equal mass, lowest scores first, each
    of shape (bins,)."""
    bins = calibration_bins(scores)
    means = np.array([scores[part].mean() for part in bins])
    shares = np.array([target[part].mean() for part in bins])
    return means, shares


def calibration_bins(scores: Floats) -> list[NDArray[np.intp]]:
    """The rows of each of up to ten bins of equal mass, lowest scores first."""
    order = np.argsort(-scores, kind="stable")
    return np.split(order, _bin_starts(scores[order])[1:])[::-1]


def _bin_starts(ranked: Floats) -> NDArray[np.intp]:
    """Where each of up to ten bins of equal mass starts in sorted scores.

    Rows of one score share a bin, the one that their middle falls into: cut by position, their
    order in the file would decide what the calibration looks like.
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1])
    ends = np.append(starts[1:], len(ranked))
    bins = (starts + ends) * _CALIBRATION_BINS // (2 * len(ranked))
    return np.asarray(starts[np.diff(bins, prepend=-1) > 0])


class Sample:
    """Rows sorted by score once, so that each resample costs a few sums; arrays have shape
    (rows,)."""

    def __init__(self, target: NDArray[np.int8], scores: Floats, flags: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._scores = scores[self._order]
        self._target = target[self._order].astype(np.float64)
        self._flags = flags[self._order].astype(np.float64)
        changes = np.flatnonzero(np.diff(self._scores)) + 1
        self._ties = np.concatenate([[0], changes])
        self._bins = _bin_starts(self._scores)

    def metrics(self, row_weights: Floats) -> Floats:
        """The metrics in the order of ALL_METRICS, NaN where undefined."""
        weights = row_weights[self._order]
        hits = weights * self._target
        positives, total = hits.sum(), weights.sum()
        caught = (hits * self._flags).sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = caught / positives
            flagged = (weights * self._flags).sum()
            precision = caught / flagged
            true = np.cumsum(np.add.reduceat(hits, self._ties))
            seen = np.cumsum(np.add.reduceat(weights, self._ties))
            pr_auc = np.nansum(np.diff(true, prepend=0.0) * (true / seen)) / positives
            false = seen - true
            roc_auc = np.trapezoid(
                np.concatenate([[0.0], true]), np.concatenate([[0.0], false])
            ) / (positives * (total - positives))
            brier = (weights * (self._scores - self._target) ** 2).sum() / total
            gaps = np.add.reduceat(weights * (self._scores - self._target), self._bins)
            ece = np.abs(gaps).sum() / total
        f1, f2 = (self._f_beta(beta, caught, positives, flagged) for beta in (1.0, 2.0))
        return np.array([recall, precision, pr_auc, roc_auc, brier, ece, f1, f2])

    @staticmethod
    def _f_beta(beta: float, caught: float, positives: float, flagged: float) -> float:
        """Van Rijsbergen's F (1979) from counts: defined where nothing is flagged too, as 0."""
        if positives == 0:
            return math.nan
        return (1 + beta**2) * caught / (beta**2 * positives + flagged)


def estimate(value: float, draws: Floats) -> Estimate:
    """The value with the 95 % interval of its resamples, NaN where one was undefined."""
    if not np.isfinite(value):
        return Estimate(None, None, None)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(round(float(value), 6), round(float(low), 6), round(float(high), 6))
