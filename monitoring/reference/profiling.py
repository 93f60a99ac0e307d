"""Choosing the bins of a reference profile from the rows that evaluate a version."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import CategoryBins, Column, Kind, NumericBins, comparable, tally
from monitoring.reference.profile import QUANTILES, FeatureProfile, ReferenceProfile, Shape

BINS = 10  # a bin's worth of mass is a tenth of the rows that are not null
MIN_ROWS = 5  # fewer rows than this earn no bin of their own, whatever their share
MAX_LEVELS = 20
MIN_LEVEL_SHARE = 0.01
MIN_LEVEL_ROWS = 10  # among many levels of a few rows each, some reach five by luck


def build_reference(
    columns: Mapping[str, Column], kinds: Mapping[str, Kind], scores: Column, entities: int
) -> ReferenceProfile:
    """Choose the bins from the reference rows and count them.

    Columns and scores have one value per row: numbers with NaN for null, or str and None. The
    order of `kinds` becomes the order of the features. `entities` is how many distinct entities
    the rows are about. Raises ValueError if there are no rows, the names of columns and kinds
    differ, or a length does.
    """
    rows = len(scores)
    if rows == 0:
        raise ValueError("a reference needs rows")
    if set(columns) != set(kinds):
        raise ValueError(f"columns and kinds differ in {sorted(set(columns) ^ set(kinds))}")
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{name} has {len(values)} values for {rows} scores")
    features = tuple(_feature(name, kind, columns[name]) for name, kind in kinds.items())
    return ReferenceProfile(rows, entities, features, _feature("score", "number", scores))


def _feature(name: str, kind: Kind, values: Column) -> FeatureProfile:
    if kind == "category":
        return _category(name, values)
    bins = _numeric_bins(kind, values)
    return FeatureProfile(name, bins, tuple(bins.count(values).tolist()), _shape(bins, values))


def _category(name: str, values: Column) -> FeatureProfile:
    seen = Counter({str(level): n for level, n in tally(values).items() if level is not None})
    enough = max(MIN_LEVEL_ROWS, MIN_LEVEL_SHARE * seen.total())
    ranked = sorted(seen, key=lambda level: (-seen[level], level))
    top = tuple(level for level in ranked[:MAX_LEVELS] if seen[level] >= enough)
    expected = {level: rows if rows > 1 else 0 for level, rows in seen.items() if level not in top}
    bins = CategoryBins(top, _groups(expected, seen.total()))
    counts = bins.count(values).tolist()
    counts[len(top) : -2] = [sum(expected[level] for level in group) for group in bins.rare]
    counts[-2] = sum(rows == 0 for rows in expected.values())
    return FeatureProfile(name, bins, tuple(counts))


def _groups(expected: Mapping[str, int], total: int) -> tuple[tuple[str, ...], ...]:
    """Cut the rare levels, by name, into groups that expect about a tenth of the total each."""
    mass = sum(expected.values())
    bins = max(1, round(BINS * mass / max(total, 1)))
    groups: dict[int, list[str]] = {0: []}
    below = 0
    for level in sorted(expected):
        slot = min(below * bins // max(mass, 1), bins - 1)
        groups.setdefault(slot, []).append(level)
        below += expected[level]
    return tuple(tuple(group) for group in groups.values())


def _numeric_bins(kind: Literal["number", "integer"], values: Column) -> NumericBins:
    x = comparable(values, kind)
    distinct, rows = np.unique(x[~np.isnan(x)], return_counts=True)
    is_atom = rows >= max(MIN_ROWS, rows.sum() / BINS)
    atoms = tuple(distinct[is_atom].tolist())
    return NumericBins(kind, _edges(distinct[~is_atom], rows[~is_atom], rows.sum()), atoms)


def _shape(bins: NumericBins, values: Column) -> Shape | None:
    x = bins.comparable(values)
    known = ~np.isnan(x)
    if not known.any():
        return None
    steps = np.arange(QUANTILES)  # in whole numbers, where 0.35 * 120 is not above 42
    ranks = np.maximum(-(-steps * known.sum() // steps[-1]), 1)
    quantiles = np.sort(x[known])[ranks - 1]
    exact = np.asarray(values, dtype=np.float64)[known]  # a large number is whole once rounded
    return Shape(tuple(quantiles.tolist()), float(np.mean(exact == np.rint(exact))))


def _edges(distinct: NDArray[np.float64], rows: NDArray[np.int64], total: int) -> tuple[float, ...]:
    """Cut the values that are no atoms into bins of about a tenth of the total each.

    An edge is the lowest value of the bin above it, at the cut nearest to the quantile wanted.
    """
    below = np.cumsum(rows)[:-1]
    if below.size == 0:
        return ()
    mass = int(rows.sum())
    bins = max(1, min(round(BINS * mass / total), mass // MIN_ROWS))
    wanted = mass * np.arange(1, bins) / bins
    cuts = np.abs(below[None, :] - wanted[:, None]).argmin(axis=1)
    return tuple(np.unique(distinct[cuts + 1]).tolist())
