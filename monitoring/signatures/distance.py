"""How far rows are from the points that stand for a reference, ascending, and in which bins to
compare the two."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

FEWEST_ROWS = 20  # effective; a shape is not told from fewer
GRID = 1e-6  # relative: values so near to each other are the same
MISFIT, NOISE = 0.10, 0.9  # what even a good explanation misses, and what sampling adds


EVERY = 5  # points to a bin
PSEUDO = 0.05  # added to each bin, so that a row that nothing explains costs a finite amount


def below(x: Floats, at: Floats) -> Floats:
    """The share of `x`, ascending, below each of `at`, then up to each: shape (2 * at,)."""
    near = GRID * np.abs(at)
    ranks = [
        np.searchsorted(x, at - near, side="left"),
        np.searchsorted(x, at + near, side="right"),
    ]
    return np.concatenate(ranks) / len(x)


def gap(one: Floats, other: Floats) -> float:
    """Kolmogorov's distance of two answers of `below` at the same places."""
    return float(np.abs(one - other).max())


def distance(x: Floats, points: Floats) -> float:
    """Kolmogorov's distance between rows and the points that stand for a reference, ascending."""
    at = np.unique(points)
    return gap(below(x, at), below(points, at))


def tolerance(rows: float) -> float:
    """The distance that so many effective rows may have from what explains them."""
    return MISFIT + NOISE / float(np.sqrt(rows))


def knots(*points: Floats) -> Floats:
    """Edges of bins of a few points each; the lowest bin starts with the least point of all."""
    ends = [part[-1:] for part in points]
    found = np.unique(np.concatenate([*(part[::EVERY] for part in points), *ends]))
    return np.asarray(found - GRID * np.abs(found), dtype=np.float64)[1:]


def histogram(x: Floats, edges: Floats) -> Floats:
    """Rows per bin, shape (edges + 1,)."""
    slots = np.searchsorted(edges, x, side="right")
    return np.bincount(slots, minlength=len(edges) + 1).astype(np.float64)


def shares(points: Floats, edges: Floats) -> Floats:
    """The share of each bin; none is 0."""
    rows = histogram(points, edges) + PSEUDO
    return np.asarray(rows / rows.sum(), dtype=np.float64)
