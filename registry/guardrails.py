"""Whether a challenger may take the champion's place: both on the same rows, which neither was
fitted on, each difference with its interval.

A check passes where the whole interval is on the good side of its limit and fails where the whole
interval is on the bad side; between them it is undecided, because two points on forty positives are
noise. No files, no clock, no configuration but the limits that are handed in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.configuration import GuardrailSettings
from registry.resampling import (
    Codes,
    Floats,
    Interval,
    Rate,
    adjusted_wald,
    noisy_percentiles,
    percentiles,
    roc_auc,
    sums,
    weights,
)
from registry.segments import Segment, segments, worst_recalls
from registry.verdict import Check, Status, Verdict, points, worst

__all__ = ["Check", "Rows", "Scored", "Status", "Verdict", "alone", "compare", "points"]

_BINS = 10
_SLIVER = 1e-9  # a difference of exactly the limit is within it
_CHANCE = 0.5
_WHO = ("the champion", "the challenger")
_ALONE_CONFIDENCE = 0.99
"""Nothing but chance is there to compare a first champion with, so that must be beyond doubt."""


@dataclass(frozen=True)
class Rows:
    """Labelled rows that neither model was fitted on, one at least; arrays of shape (rows,).

    `target` is 0 or 1, `entities` any code for who a row is about, `segments` the categorical
    columns by name, objects with None for null.
    """

    target: NDArray[np.int8]
    entities: NDArray[np.int64]
    segments: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Scored:
    """What one model says of the rows: flagged is where a score reaches the threshold."""

    scores: Floats
    threshold: float

    @property
    def flags(self) -> NDArray[np.bool_]:
        return self.scores >= self.threshold


@dataclass(frozen=True)
class _Sample:
    """The rows as floats: `flags` of both models, shape (2, rows); `codes` of entities from 0."""

    target: Floats
    flags: Floats
    codes: Codes
    groups: int


def compare(
    rows: Rows, champion: Scored, challenger: Scored, limits: GuardrailSettings, *, seed: int
) -> Verdict:
    """Hold the challenger against the champion.

    Recall, precision, calibration error (ten bins of equal mass of a model's own scores; Nixon et
    al., 2019), and the recall of the segment whose recall is worst, among those with enough
    positives. With positives of too few entities nothing is decided, nor is the worst segment where
    there are categories and none has enough. A metric that one of the two has not fails.
    """
    models = (champion, challenger)
    known, codes = np.unique(rows.entities, return_inverse=True)
    flags = np.stack([model.flags for model in models]).astype(np.float64)
    sample = _Sample(rows.target.astype(np.float64), flags, codes, len(known))
    outcomes = np.stack([sample.target, *(sample.target * flags)])
    known_segments = tuple(segments(rows.segments, outcomes, codes, limits.min_positives))
    table = np.hstack([_table(sample, m, model.scores) for m, model in enumerate(models)])
    draws, worst_draws = [], []
    for piece in weights(len(known), limits.resamples, seed, room=2 * len(known)):
        draws.append(_metrics(piece @ table))
        worst_draws.append(worst_recalls(piece, known_segments))
    checks = _checks(sample, _metrics(table.sum(axis=0)), np.concatenate(draws), limits)
    lack = "" if rows.segments else "there are no categories, so no segments are compared"
    if known_segments:
        checks.append(_segment_check(known_segments, np.concatenate(worst_draws), limits))
    elif rows.segments:
        checks.append(_no_segment(sample, limits))
    return _verdict(rows, checks, _too_few(rows, limits, {1: "positives"}), lack)


def alone(rows: Rows, challenger: Scored, limits: GuardrailSettings, *, seed: int) -> Verdict:
    """Judge a first champion: both classes in enough entities, recall and precision defined, and
    an ROC-AUC (a tie counts as half) beyond doubt above chance."""
    caught = int((rows.target * challenger.flags).sum())
    positives, flagged = int(rows.target.sum()), int(challenger.flags.sum())
    checks = [
        _rate_alone("recall", caught, positives, "no row is positive"),
        _rate_alone("precision", caught, flagged, "it flags nothing"),
        _auc_alone(rows, challenger.scores, limits.resamples, seed),
    ]
    return _verdict(rows, checks, _too_few(rows, limits, {1: "positives", 0: "negatives"}))


def _table(sample: _Sample, model: int, scores: Floats) -> Floats:
    """Rows, positives, caught, flagged, and how far scores lie above outcomes in each bin, summed
    by entity, shape (entities, 4 + bins)."""
    target, flags = sample.target, sample.flags[model]
    gaps = np.zeros((_BINS, len(scores)))
    gaps[_calibration_bins(scores), np.arange(len(scores))] = scores - target
    counts = np.stack([np.ones_like(target), target, target * flags, flags])
    return sums(np.concatenate([counts, gaps]), sample.codes, sample.groups)


def _calibration_bins(scores: Floats) -> Codes:
    """The bin of each row, of ten of equal mass; rows of one score share the bin that their middle
    falls into."""
    _, places, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((2 * ends - counts) * _BINS // (2 * len(scores)))[places])


def _metrics(summed: Floats) -> Floats:
    """Recall, precision and calibration error of both models, NaN where undefined, from sums of
    shape (…, 2 * (4 + bins)); shape (…, 2, 3)."""
    each = summed.reshape(*summed.shape[:-1], 2, 4 + _BINS)
    rows, positives, caught, flagged = (each[..., column] for column in range(4))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(each[..., 4:]).sum(axis=-1) / rows
        return np.stack([caught / positives, caught / flagged, error], axis=-1)


def _checks(
    sample: _Sample, point: Floats, draws: Floats, limits: GuardrailSettings
) -> list[Check]:
    """Recall, precision and calibration, from metrics of shape (2, 3) and (resamples, 2, 3)."""
    rates: tuple[tuple[Rate, float, str], ...] = (
        ("recall", -limits.recall_drop_points / 100, "no row is positive"),
        ("precision", -limits.precision_drop_points / 100, _flags_nothing(sample)),
    )
    checks = []
    for metric, (rate, limit, lack) in enumerate(rates):
        champion, challenger = (_defined(value) for value in point[:, metric])
        if champion is None or challenger is None:
            checks.append(_bare(rate, champion, challenger, "fail", lack))
            continue
        difference = draws[:, 1, metric] - draws[:, 0, metric]
        interval = _widened(percentiles(difference, limits.confidence), rate, sample, limits)
        checks.append(_check(rate, (champion, challenger), interval, limit))
    errors = (float(point[0, 2]), float(point[1, 2]))
    difference = draws[:, 1, 2] - draws[:, 0, 2]
    interval = noisy_percentiles(difference, errors[1] - errors[0], limits.confidence)
    limit = limits.calibration_rise_points / 100
    return [*checks, _check("calibration", errors, interval, limit, rises=True)]


def _widened(
    interval: Interval, rate: Rate, sample: _Sample, limits: GuardrailSettings
) -> Interval:
    """The wider of the bootstrap and the adjusted interval: resamples of rows without a
    disagreement have none either. Models that flag the same rows leave nothing to be unsure of."""
    if (sample.flags[0] == sample.flags[1]).all():
        return interval
    low, high = adjusted_wald(rate, sample.target, sample.flags, sample.codes, limits.confidence)
    return min(low, interval[0]), max(high, interval[1])


def _segment_check(known: Sequence[Segment], draws: Floats, limits: GuardrailSettings) -> Check:
    recalls = np.stack([segment.recalls for segment in known])
    old, new = recalls.argmin(axis=0).tolist()
    values = (float(recalls[old, 0]), float(recalls[new, 1]))
    note = known[new].name
    if old != new:
        note += f"; the champion's worst is {known[old].name}"
    difference = draws[:, 1] - draws[:, 0]
    interval = noisy_percentiles(difference, values[1] - values[0], limits.confidence)
    limit = -limits.segment_recall_drop_points / 100
    return _check("segment_recall", values, interval, limit, note=note)


def _no_segment(sample: _Sample, limits: GuardrailSettings) -> Check:
    """Models that flag the same rows cannot differ in any segment."""
    same = bool((sample.flags[0] == sample.flags[1]).all())
    lack = f"no segment has positives of {limits.min_positives} entities"
    return _bare("segment_recall", None, None, "pass" if same else "undecided", lack)


def _rate_alone(name: str, hits: int, trials: int, lack: str) -> Check:
    if trials == 0:
        return _bare(name, None, None, "fail", lack)
    return _bare(name, None, hits / trials, "pass", "")


def _auc_alone(rows: Rows, scores: Floats, resamples: int, seed: int) -> Check:
    if rows.target.min() == rows.target.max():
        return _bare("roc_auc", None, None, "fail", "the rows are of one class")
    known, codes = np.unique(rows.entities, return_inverse=True)
    value, draws = roc_auc(
        rows.target.astype(np.float64),
        scores,
        codes,
        groups=len(known),
        resamples=resamples,
        seed=seed,
    )
    low, high = percentiles(draws, _ALONE_CONFIDENCE)
    status: Status = "pass" if low > _CHANCE + _SLIVER else "undecided"
    if high <= _CHANCE + _SLIVER:
        status = "fail"
    return Check("roc_auc", None, value, None, low, high, _CHANCE, status)


def _check(
    name: str,
    values: tuple[float, float],
    interval: Interval,
    limit: float,
    *,
    rises: bool = False,
    note: str = "",
) -> Check:
    """The interval against the limit: the least a difference may be or, of what `rises`, the
    most."""
    low, high = (-interval[1], -interval[0]) if rises else interval
    least = (-limit if rises else limit) - _SLIVER
    status: Status = "pass" if low >= least else "fail" if high < least else "undecided"
    return Check(name, *values, values[1] - values[0], *interval, limit, status, note)


def _bare(
    name: str, champion: float | None, challenger: float | None, status: Status, note: str
) -> Check:
    """A check that has no interval."""
    return Check(name, champion, challenger, None, None, None, None, status, note)


def _defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _flags_nothing(sample: _Sample) -> str:
    idle = [who for who, flags in zip(_WHO, sample.flags, strict=True) if not flags.any()]
    return f"{' and '.join(idle)} flag{'s' if len(idle) == 1 else ''} nothing"


def _too_few(rows: Rows, limits: GuardrailSettings, classes: Mapping[int, str]) -> str:
    """Which classes are in too few entities to decide anything, in words."""
    found = ((len(np.unique(rows.entities[rows.target == c])), name) for c, name in classes.items())
    lacks = [f"{name} of {n} entities" for n, name in found if n < limits.min_positives]
    return f"only {' and '.join(lacks)}, {limits.min_positives} needed" if lacks else ""


def _verdict(rows: Rows, checks: Sequence[Check], doubt: str, lack: str = "") -> Verdict:
    """With a `doubt` nothing that has an interval is decided."""
    final = tuple(
        replace(check, status="undecided") if doubt and check.low is not None else check
        for check in checks
    )
    return Verdict(
        status=worst(final),
        rows=len(rows.target),
        positives=int(rows.target.sum()),
        entities=len(np.unique(rows.entities)),
        checks=final,
        note="; ".join(words for words in (doubt, lack) if words),
    )
