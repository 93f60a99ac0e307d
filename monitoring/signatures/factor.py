"""The signature of a factor: part of a column, or all of it, was multiplied by a power of ten.

The column is held against what the reference would look like after that. The quantiles of the
reference stand for it as so many typical rows: they are multiplied and rounded as rows would be.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monitoring.reference.profile import QUANTILES
from monitoring.signatures.distance import (
    FEWEST_ROWS,
    GRID,
    Floats,
    below,
    gap,
    histogram,
    knots,
    shares,
    tolerance,
)
from monitoring.signatures.kinds import Sample, Suspect
from monitoring.signatures.rules import Likelier, Steps

POWERS = (-1, 1, -2, 2, -3, 3)
FEWEST_POINTS = 20  # of the reference's quantiles that are not 0, which no factor changes
SHARES = np.linspace(0, 1, 101)  # of rows that were multiplied
LEAST_SHARE = 0.15
APART = 0.5  # total variation, from which the reference and its multiple are two things
WIDEST = 3.0  # a population may become so many times wider, or narrower
GAIN = 0.5  # log likelihood per multiplied row over what a population or a stuck value explains
DECISIVE = float(np.log(1000))  # and over all effective rows: a Bayes factor of a thousand
LITTLE = 1e-3  # of the rows a stuck value may miss
STUCK_ALLOWANCE = 0.1  # per row: a constant that was multiplied looks like another constant, too
MOST_DECIMALS = 6


@dataclass(frozen=True)
class _Explanation:
    """A factor that explains the rows; `gain` is its log likelihood over "nothing happened"."""

    power: int
    gain: float
    scale: Steps
    share_before: float


def factor(sample: Sample) -> Iterator[Suspect]:
    """Whether the column was multiplied by 10, 100 or 1000, or divided; 0 stays 0 and is left out.

    The likelihood of a mixture, the reference and its multiple, is held against a moved, widened or
    narrowed reference and against a stuck value; and the mixture itself has to fit.
    """
    if sample.shape is None:
        return
    points = np.array([point for point in sample.shape.quantiles if point])
    x = sample.ordered[sample.ordered != 0]
    if len(points) < FEWEST_POINTS or sample.weight * len(x) < FEWEST_ROWS:
        return
    decimals = _decimals(x)
    multiples = ((power, np.round(points * 10.0**power, decimals)) for power in POWERS)
    found = [_explain(power, x, points, m[m != 0], sample.weight) for power, m in multiples]
    best = max((one for one in found if one), key=lambda one: one.gain, default=None)
    if best is not None:
        rule, detail = Likelier(sample.name, best.scale), {"factor": 10.0**best.power}
        yield Suspect("factor", rule, best.share_before, detail=detail)


def _explain(
    power: int, x: Floats, points: Floats, multiple: Floats, weight: float
) -> _Explanation | None:
    if len(multiple) < FEWEST_POINTS:
        return None
    edges = knots(points, multiple)
    before, after = shares(points, edges), shares(multiple, edges)
    if np.abs(before - after).sum() / 2 < APART:
        return None
    rows = histogram(x, edges)
    fits = np.log(SHARES[:, None] * after + (1 - SHARES[:, None]) * before) @ rows
    share, fit = float(SHARES[fits.argmax()]), float(fits.max())
    if share < LEAST_SHARE:
        return None
    population = max(float(np.log(moved) @ rows) for moved in _moved(points, x, edges))
    stuck = _stuck_fit(x, rows, before, edges) - STUCK_ALLOWANCE * len(x)
    if fit < max(population + GAIN * share * len(x) + DECISIVE / weight, stuck):
        return None
    scale = _blind_at_zero(edges, np.log(after / before))
    everything = (x, points, multiple)
    shown = [part[scale.score(part) > 0] for part in everything]
    if not all(_fits(*parts, share=share, weight=weight) for parts in (everything, shown)):
        return None
    return _Explanation(power, fit - float(fits[0]), scale, len(shown[1]) / QUANTILES)


def _moved(points: Floats, x: Floats, edges: Floats) -> Iterator[Floats]:
    """The reference as a population would have moved, widened or narrowed it to fit the rows."""
    yield shares(points, edges)
    widths = (1.0, float(x.std() / (points.std() or 1.0)), _middle(x) / (_middle(points) or 1.0))
    for width in np.clip(widths, 1 / WIDEST, WIDEST):
        yield shares(x.mean() + width * (points - points.mean()), edges)
        yield shares(np.median(x) + width * (points - np.median(points)), edges)


def _middle(x: Floats) -> float:
    """The width of the middle half."""
    low, high = np.quantile(x, (0.25, 0.75))
    return float(high - low)


def _stuck_fit(x: Floats, rows: Floats, before: Floats, edges: Floats) -> float:
    """The log likelihood if one value sticks and the other rows are as they were."""
    values, counts = np.unique(x, return_counts=True)
    share = float(counts.max() / len(x))
    stuck = np.minimum(1 - share, 1 - LITTLE) * before
    stuck[np.searchsorted(edges, values[counts.argmax()], side="right")] += share
    return float(np.log(np.maximum(stuck, LITTLE * before)) @ rows)


def _fits(x: Floats, points: Floats, multiple: Floats, *, share: float, weight: float) -> bool:
    """Whether the rows are the mixture of both, as far as their number can tell."""
    parts = ((share, multiple), (1 - share, points))
    mass = sum(each * len(part) for each, part in parts)
    if not (len(x) and mass):
        return False
    at = np.unique(np.concatenate((points, multiple)))
    expected = np.zeros(2 * len(at))
    for each, part in parts:
        if len(part):
            expected += each * len(part) / mass * below(part, at)
    return gap(below(x, at), expected) <= tolerance(weight * len(x))


def _decimals(x: Floats) -> int:
    """How many decimals the rows were rounded to."""
    sample = x[:: max(1, len(x) // 500)]
    for decimals in range(MOST_DECIMALS):
        if np.allclose(sample, np.round(sample, decimals), rtol=GRID, atol=0):
            return decimals
    return 2 * MOST_DECIMALS


def _blind_at_zero(edges: Floats, heights: Floats) -> Steps:
    """0 stays 0 under any factor, so it speaks for neither."""
    slot = int(np.searchsorted(edges, 0.0))
    zero = (0.0, np.nextafter(0.0, 1.0))
    return Steps(np.insert(edges, slot, zero), np.insert(heights, slot, (heights[slot], 0.0)))
