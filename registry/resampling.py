"""Intervals for the difference of two models on the same rows, where rows of one entity are alike.

Whole entities are drawn (Field and Welsh, 2007, on the cluster bootstrap), the same ones for both
models, so that what is hard for both cancels out. Statistics are made of sums, which are linear in
how often an entity was drawn: all resamples are one product of matrices, in pieces.
"""

import math
from collections.abc import Iterator
from itertools import product
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Interval = tuple[float, float]
Rate = Literal["recall", "precision"]

_PIECE_BYTES = 50_000_000
_HALF = 0.5
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def weights(groups: int, resamples: int, seed: int, *, room: int) -> Iterator[Floats]:
    """How often each resample drew each entity, in pieces of shape (some, groups), as large as
    memory that is fair allows where a resample needs `room` numbers in all."""
    rng = np.random.default_rng(seed)
    most = max(1, _PIECE_BYTES // (8 * room))
    for start in range(0, resamples, most):
        piece = np.empty((min(most, resamples - start), groups))
        for row in piece:
            row[:] = np.bincount(rng.integers(0, groups, groups), minlength=groups)
        yield piece


def sums(values: Floats, codes: Codes, groups: int) -> Floats:
    """Columns of shape (k, rows) summed by entity, shape (groups, k)."""
    return np.stack([np.bincount(codes, column, minlength=groups) for column in values], axis=1)


def percentiles(draws: Floats, confidence: float) -> Interval:
    """The middle `confidence` of the draws that are defined; NaN where none is."""
    defined = draws[np.isfinite(draws)]
    if len(defined) == 0:
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def noisy_percentiles(draws: Floats, point: float, confidence: float) -> Interval:
    """The interval where noise alone biases the statistic, as it does a distance or a minimum: the
    rows have the noise once, a resample twice. The wider of the draws moved such that their mean is
    the point and of the pivotal interval, which takes the bias off once more (Davison and Hinkley,
    1997, section 5.2)."""
    low, high = percentiles(draws, confidence)
    shift = point - float(np.nanmean(draws))
    return min(low + shift, 2 * point - high), max(high + shift, 2 * point - low)


def adjusted_wald(
    rate: Rate, target: Floats, flags: Floats, codes: Codes, confidence: float
) -> Interval:
    """An interval for the difference of two models' rates that never claims certainty.

    Agresti and Min (2005, Statistics in Medicine 24) add half a count to each of the four cells of
    two matched proportions. Here half an entity, of as many rows as one has on average, is added to
    each cell that the rate counts, and the variance of the two ratios is linearised and summed by
    entity; for recall with one row an entity this is their interval.

    Args: target and codes of the entities of shape (rows,), both models' flags of shape (2, rows).
    """
    hits, trials = _counted(rate, target, flags)
    cells = np.array(list(product((0.0, 1.0), repeat=3))).T
    added_hits, added_trials = _counted(rate, cells[0], cells[1:])
    used = trials.any(axis=0)
    crowd = used.sum() / max(1, len(np.unique(codes[used])))
    totals = trials.sum(axis=1) + _HALF * crowd * added_trials.sum(axis=1)
    ratios = (hits.sum(axis=1) + _HALF * crowd * added_hits.sum(axis=1)) / totals

    def influence(hits: Floats, trials: Floats) -> Floats:
        each = (hits - ratios[:, None] * trials) / totals[:, None]
        return np.asarray(each[1] - each[0], dtype=np.float64)

    seen = np.bincount(codes, influence(hits, trials))
    added = crowd * influence(added_hits, added_trials)
    variance = (seen**2).sum() + _HALF * (added**2).sum()
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)
    middle = float(ratios[1] - ratios[0])
    return max(-1.0, middle - half), min(1.0, middle + half)


def _counted(rate: Rate, target: Floats, flags: Floats) -> tuple[Floats, Floats]:
    """Whom a rate counts for each model, and among whom; shape (2, rows) each."""
    return target * flags, np.broadcast_to(target, flags.shape) if rate == "recall" else flags


def roc_auc(
    target: Floats, scores: Floats, codes: Codes, *, groups: int, resamples: int, seed: int
) -> tuple[float, Floats]:
    """The share of pairs of a positive and a negative row that the scores put in order (a tie
    counts as half), and that of each resample, NaN where it drew one class only. Rows of both
    classes are needed; arrays of shape (rows,)."""
    hit = target == 1
    order = np.argsort(scores[hit], kind="stable")
    owners, others = codes[hit][order], codes[~hit]
    ranked, missed = scores[hit][order], scores[~hit]
    below, upto = (np.searchsorted(ranked, missed, side=side) for side in _SIDES)

    def share(piece: Floats) -> Floats:
        hits = np.zeros((len(piece), len(owners) + 1))
        np.cumsum(piece[:, owners], axis=1, out=hits[:, 1:])
        misses = piece[:, others]
        passed = (misses * hits[:, below]).sum(axis=1) + (misses * hits[:, upto]).sum(axis=1)
        with np.errstate(invalid="ignore"):
            lost = passed / (2 * hits[:, -1] * misses.sum(axis=1))
        return np.asarray(1 - lost, dtype=np.float64)

    room = groups + 4 * len(scores)
    draws = [share(piece) for piece in weights(groups, resamples, seed, room=room)]
    return float(share(np.ones((1, groups)))[0]), np.concatenate(draws)
