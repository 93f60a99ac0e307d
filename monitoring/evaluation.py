"""How good a model is, with 95 % intervals from a bootstrap that resamples entities.

Resampling whole entities keeps rows of one pupil (or aircraft) together, so that an interval is not
narrower than the data deserve (Field and Welsh, 2007, on the cluster bootstrap).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
METRICS = ("recall", "precision", "pr_auc", "roc_auc", "brier", "ece")
_CALIBRATION_BINS = 10


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
            "metrics": {name: self.metrics[name].to_dict() for name in METRICS},
        }


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
    (Nixon et al., 2019). There is one row at least.
    """
    sample = _Sample(target, scores, flags)
    groups, codes = np.unique(entities, return_inverse=True)
    rng = np.random.default_rng(seed)
    point = sample.metrics(np.ones(len(target)))
    draws = np.empty((resamples, len(METRICS)))
    ece = METRICS.index("ece")
    for draw in range(resamples):
        picked = rng.integers(0, len(groups), len(groups))
        draws[draw] = sample.metrics(
            np.bincount(picked, minlength=len(groups))[codes].astype(float)
        )
    # A distance is never negative, so the noise that a resample adds only ever makes it larger.
    draws[:, ece] = np.maximum(draws[:, ece] - draws[:, ece].mean() + point[ece], 0)
    estimates = {
        name: _estimate(point[index], draws[:, index]) for index, name in enumerate(METRICS)
    }
    return Evaluation(len(target), int(target.sum()), int(flags.sum()), estimates)


def calibration_curve(target: NDArray[np.int8], scores: Floats) -> tuple[Floats, Floats]:
    """Mean score and share of positives in up to ten bins of equal mass, lowest scores first, each
    of shape (bins,)."""
    order = np.argsort(-scores, kind="stable")
    bins = np.split(order, _bin_starts(scores[order])[1:])[::-1]
    means = np.array([scores[part].mean() for part in bins])
    shares = np.array([target[part].mean() for part in bins])
    return means, shares


def _bin_starts(ranked: Floats) -> NDArray[np.intp]:
    """Where each of up to ten bins of equal mass starts in sorted scores.

    Rows of one score share a bin, the one that their middle falls into: cut by position, their
    order in the file would decide what the calibration looks like.
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1])
    ends = np.append(starts[1:], len(ranked))
    bins = (starts + ends) * _CALIBRATION_BINS // (2 * len(ranked))
    return np.asarray(starts[np.diff(bins, prepend=-1) > 0])


class _Sample:
    """Rows sorted by score once, so that each resample costs a few sums."""

    def __init__(self, target: NDArray[np.int8], scores: Floats, flags: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._scores = scores[self._order]
        self._target = target[self._order].astype(np.float64)
        self._flags = flags[self._order].astype(np.float64)
        changes = np.flatnonzero(np.diff(self._scores)) + 1
        self._ties = np.concatenate([[0], changes])
        self._bins = _bin_starts(self._scores)

    def metrics(self, row_weights: Floats) -> Floats:
        """The metrics in the order of METRICS, NaN where undefined."""
        weights = row_weights[self._order]
        hits = weights * self._target
        positives, total = hits.sum(), weights.sum()
        caught = (hits * self._flags).sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = caught / positives
            precision = caught / (weights * self._flags).sum()
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
        return np.array([recall, precision, pr_auc, roc_auc, brier, ece])


def _estimate(value: float, draws: Floats) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, None, None)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(round(float(value), 6), round(float(low), 6), round(float(high), 6))
