"""How good a version is on rows whose labels are not known yet: confidence-based performance
estimation (Białek et al. 2024, Estimating Model Performance Under Covariate Shift Without Labels).

If a score, calibrated, is the probability of a positive, it says how many of the rows are expected
to be one, flagged or not. The assumption: the population may have changed, but rows of one score
are positive as often as they were in the reference. Where that concept has changed, the estimate
is off and no band can tell; only labels do.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from monitoring.performance.calibrator import (
    IDENTITY,
    CalibrationReference,
    Calibrator,
    Floats,
    fit,
    isotonic,
)
from monitoring.performance.evaluation import Estimate

METRICS = ("recall", "precision", "f1", "roc_auc", "base_rate")
MAX_VALUES = 65_536
_CELLS = 32_768
_COARSE_CELLS = 4_096
# Of the error that the confidence leaves, this share: a bootstrap of hundreds of rows is too sure
# of itself (its 95 % bands held the realised value in 91 to 96 % of simulated windows), and real
# rows are less independent than simulated ones.
_TAIL = 0.2
# No real concept stands quite still: in three years of the US census, employment at one score
# moved by 0.05 to 0.07 in log-odds. Without this allowance a band over a million rows would claim
# a precision that no population has.
_CONCEPT_SD = 0.05


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Scores in [0, 1], ascending, with the rows that have each: both of shape (values,).

    It adds up, and does not grow without bound: above `MAX_VALUES` scores are gathered into cells
    of 1/32768, each with its mean score. A cell never reaches across the threshold, at or above
    which a row is flagged.
    """

    threshold: float
    values: Floats
    counts: NDArray[np.int64]
    is_gathered: bool = False

    @classmethod
    def of(cls, scores: ArrayLike, *, threshold: float) -> "ScoreCounts":
        """Count scores of shape (rows,). Raises ValueError if one is not within 0..1."""
        ranked = np.sort(_checked(scores))
        starts = _run_starts(ranked)
        counts = np.diff(np.append(starts, ranked.size))
        return cls(threshold, ranked[starts], counts)._bounded(MAX_VALUES, _CELLS)

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Shape (values,)."""
        return self.values >= self.threshold

    def add(self, scores: ArrayLike) -> "ScoreCounts":
        """With more scores of shape (rows,). Raises ValueError if one is not within 0..1."""
        if not self.is_gathered:
            return self.merge(ScoreCounts.of(scores, threshold=self.threshold))
        # Cells need no order, and sorting is what takes the time.
        more = _checked(scores)
        both = np.concatenate([self.values, more])
        counts = np.concatenate([self.counts, np.ones(len(more), dtype=np.int64)])
        return ScoreCounts(self.threshold, both, counts)._gathered(_CELLS)

    def merge(self, other: "ScoreCounts") -> "ScoreCounts":
        """Both together. Raises ValueError if their thresholds differ."""
        if self.threshold != other.threshold:
            raise ValueError(f"thresholds {self.threshold} and {other.threshold} do not add up")
        values = np.concatenate([self.values, other.values])
        counts = np.concatenate([self.counts, other.counts])
        if self.is_gathered or other.is_gathered:
            return ScoreCounts(self.threshold, values, counts)._gathered(_CELLS)
        order = np.argsort(values, kind="stable")  # merges two runs in linear time
        starts = _run_starts(values[order])
        if starts.size:
            values, counts = values[order][starts], np.add.reduceat(counts[order], starts)
        return ScoreCounts(self.threshold, values, counts)._bounded(MAX_VALUES, _CELLS)

    def coarse(self) -> "ScoreCounts":
        """In at most 4,097 cells: for what noise alone makes vary, finer scores say no more."""
        return self._bounded(_COARSE_CELLS, _COARSE_CELLS)

    def _bounded(self, most: int, cells: int) -> "ScoreCounts":
        return self._gathered(cells) if len(self.values) > most else self

    def _gathered(self, cells: int) -> "ScoreCounts":
        # From the threshold on one more, which cuts its cell in two.
        cell = (self.values * cells).astype(np.int64) + self.flagged
        counts = np.bincount(cell, weights=self.counts)
        sums = np.bincount(cell, weights=self.counts * self.values)
        met = np.flatnonzero(counts)
        means = sums[met] / counts[met]
        # Rounding must not carry a mean across the threshold.
        below = np.minimum(means, np.nextafter(self.threshold, -1.0))
        is_flagged = met > int(self.threshold * cells)
        means = np.where(is_flagged, np.maximum(means, self.threshold), below)
        return ScoreCounts(self.threshold, means, counts[met].astype(np.int64), is_gathered=True)


@dataclass(frozen=True)
class PerformanceEstimate:
    """The metrics expected of `rows` rows, by name as in `METRICS`, each with its band."""

    metrics: Mapping[str, Estimate]
    calibrator: Literal["isotonic", "none"]
    rows: int

    def to_dict(self) -> dict[str, Any]:
        metrics = {name: metric.to_dict() for name, metric in self.metrics.items()}
        return {"metrics": metrics, "calibrator": self.calibrator, "rows": self.rows}


def estimate(
    reference: CalibrationReference,
    window: ScoreCounts,
    *,
    rows_per_entity: float,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> PerformanceEstimate:
    """Estimate the metrics that the window's labels will give, once they are known.

    The value is that of the expected confusion matrix. The band is for the realised value, so it
    holds what the reference leaves open (entities resampled, the curve fitted again) and that
    labels of a finite window vary (drawn from the curve; where an entity has several rows, its
    labels may all be alike, so the deviation grows with the root of `rows_per_entity`). Recall
    without expected positives, precision without flagged rows and ROC-AUC of one class are
    undefined. Raises ValueError if the window is empty or `rows_per_entity` below 1.
    """
    if not window.rows:
        raise ValueError("a window without rows has no performance")
    if not rows_per_entity >= 1:
        raise ValueError(f"{rows_per_entity} rows per entity")
    is_fitted = reference.needs_curve
    curve = fit(reference.scores, reference.labels) if is_fitted else IDENTITY
    value = _metrics(curve(window.values) * window.counts, window.counts, window.flagged)
    draws = _draws(
        _Resampled(reference, window.threshold, is_fitted),
        window.coarse(),
        deviation=math.sqrt(rows_per_entity),
        resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    reach = float(ndtri(1 - (1 - confidence) / 2 * _TAIL))
    metrics = {
        name: _estimate(float(value[at]), draws[:, at], reach) for at, name in enumerate(METRICS)
    }
    return PerformanceEstimate(metrics, curve.kind, window.rows)


class _Resampled:
    """The reference by distinct score, so that each resample costs a few sums."""

    def __init__(self, reference: CalibrationReference, threshold: float, is_fitted: bool) -> None:
        self._values, self._slots = np.unique(reference.scores, return_inverse=True)
        self._labels, self._entities = reference.labels, reference.entities
        self._flagged = self._values >= threshold
        self._is_fitted = is_fitted

    def draw(self, rng: np.random.Generator) -> tuple[Calibrator, Floats]:
        """The curve of a resample of entities, and by how much the resample's own labels differ
        from what the curve expects of it: shape (metrics,), 0 where undefined.

        Isotonic regression follows its reference too closely, and so expects too much of a model
        (at 765 rows, one point of recall); without the curve, the scores may be off as well.
        """
        entities = self._entities.max() + 1
        picked = np.bincount(rng.integers(0, entities, entities), minlength=entities)
        weights = picked[self._entities].astype(np.float64)
        size = len(self._values)
        rows, positives = (
            np.bincount(self._slots, weights=weighted, minlength=size).astype(np.float64)
            for weighted in (weights, weights * self._labels)
        )
        curve = isotonic(self._values, rows, positives) if self._is_fitted else IDENTITY
        expected = _metrics(curve(self._values) * rows, rows, self._flagged)
        return curve, np.nan_to_num(_metrics(positives, rows, self._flagged) - expected)


def _draws(
    reference: _Resampled,
    window: ScoreCounts,
    *,
    deviation: float,
    resamples: int,
    rng: np.random.Generator,
) -> Floats:
    """What the metrics of the window may turn out to be: shape (resamples, metrics)."""
    draws = np.empty((resamples, len(METRICS)))
    for draw in draws:
        curve, residual = reference.draw(rng)
        odds_ratio = math.exp(rng.normal(0, _CONCEPT_SD))
        chance = curve(window.values)
        chances = chance * odds_ratio / (1 - chance + chance * odds_ratio)
        positives = rng.binomial(window.counts, chances).astype(np.float64)
        expected = _metrics(chances * window.counts, window.counts, window.flagged)
        realised = _metrics(positives, window.counts, window.flagged)
        draw[:] = expected + deviation * (realised - expected) + residual
    return draws


def _metrics(
    positives: Floats, rows: NDArray[np.integer] | Floats, flagged: NDArray[np.bool_]
) -> Floats:
    """The metrics in the order of METRICS, NaN where undefined, from positives and rows by
    ascending score, each of shape (scores,); they need not be whole numbers.

    ROC-AUC is the chance that a positive ranks above a negative, a tie being half of one.
    """
    negatives = rows - positives
    total, caught, raised = positives.sum(), positives[flagged].sum(), rows[flagged].sum()
    ranked = (positives * (np.cumsum(negatives) - negatives / 2)).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(
            [
                caught / total,
                caught / raised,
                2 * caught / (total + raised),
                ranked / (total * negatives.sum()),
                total / rows.sum(),
            ]
        )


def _estimate(value: float, draws: Floats, reach: float) -> Estimate:
    """The band is the draws' mean ± `reach` deviations, which a few hundred draws settle better
    than far quantiles, and always holds the value."""
    if not math.isfinite(value):
        return Estimate(None, None, None)
    drawn = draws[np.isfinite(draws)]
    low, high = 0.0, 1.0
    if drawn.size:
        centre, half = float(drawn.mean()), reach * float(drawn.std())
        low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return Estimate(round(value, 6), round(min(low, value), 6), round(max(high, value), 6))


def _checked(scores: ArrayLike) -> Floats:
    found = np.asarray(scores, dtype=np.float64)
    if found.size and not (found.min() >= 0 and found.max() <= 1):  # false for NaN too
        raise ValueError("a score is not within 0..1")
    return found


def _run_starts(ranked: Floats) -> NDArray[np.intp]:
    """Where each distinct value of sorted ones begins."""
    if not ranked.size:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
