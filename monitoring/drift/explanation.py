"""Which drifting features move the score: score the window again with one feature put back.

A feature is put back by moving as little as possible: ranks are kept (the optimal transport in one
dimension), only as many nulls appear or vanish as the reference asks for, and only surplus rows
change their level. What then happens to the model's own scores is what the drift did to them; an
importance times a drift would only guess at it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import CategoryBins, Coded, Column, NumericBins
from monitoring.reference.profile import FeatureProfile, ReferenceProfile
from registry.schema import Feature
from registry.validation import Value

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

Floats = NDArray[np.float64]

MOST_ROWS = 2_000  # are scored once for each feature
TAIL_BINS = 2  # how far an unbounded bin is taken to reach, in widths of its neighbour


@dataclass(frozen=True)
class Explained:
    """What one feature's drift does to the score: `shift` is the mean score now less the mean with
    the feature put back, `moved` the mean absolute change of a row's score."""

    feature: str
    shift: float
    moved: float


def explain(
    version: "LoadedVersion",
    reference: ReferenceProfile,
    sample: Mapping[str, Column],
    features: Sequence[str],
    *,
    seed: int,
) -> Mapping[str, Explained]:
    """The effect of each of `features`, in the order given, on at most `MOST_ROWS` of the rows.

    Columns are as in `compare`, of shape (rows,); a feature of the schema without a column is all
    null. Each feature is put back alone, so effects of features that work together do not add up.
    Raises ValueError if there are no rows, lengths differ, or a feature is not in the reference.
    """
    profiles = {profile.name: profile for profile in reference.features}
    declared = {feature.name: feature for feature in version.schema.features}
    unknown = [name for name in features if name not in profiles or name not in declared]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not a feature of the reference")
    columns = _columns(declared.values(), sample, seed)
    values = {name: _values(feature, columns[name]) for name, feature in declared.items()}
    now = version.scorer.score(list(zip(*values.values(), strict=True)))
    explained = {}
    for name in features:
        # Every feature draws from its own stream: what is asked beside it changes nothing.
        generator = np.random.default_rng([seed, *name.encode()])
        back = put_back(profiles[name], declared[name], columns[name], generator)
        changed = values | {name: _values(declared[name], back)}
        change = now - version.scorer.score(list(zip(*changed.values(), strict=True)))
        explained[name] = Explained(name, float(change.mean()), float(np.abs(change).mean()))
    return explained


def put_back(
    profile: FeatureProfile,
    feature: Feature,
    values: NDArray[Any],
    generator: np.random.Generator,
) -> NDArray[Any]:
    """The values, shape (rows,), as they would be if they were spread as in the reference."""
    if isinstance(profile.bins, CategoryBins):
        return _put_levels_back(profile, profile.bins, values, generator)
    return _put_numbers_back(profile, profile.bins, feature, values.astype(np.float64), generator)


def _columns(
    features: Iterable[Feature], sample: Mapping[str, Column], seed: int
) -> dict[str, NDArray[Any]]:
    """The features' columns over a bounded sample: float64 with NaN, or objects with None."""
    lengths = {len(values) for values in sample.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"a sample needs rows, as many in each column; lengths: {sorted(lengths)}")
    (rows,) = lengths
    chosen = np.arange(rows)
    if rows > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    columns: dict[str, NDArray[Any]] = {}
    for feature in features:
        values = sample.get(feature.name, [None] * rows)
        if isinstance(values, Coded):
            columns[feature.name] = values.take(chosen).texts()
        else:
            kind = object if feature.type == "category" else np.float64
            columns[feature.name] = np.asarray(values, dtype=kind)[chosen]
    return columns


def _values(feature: Feature, column: NDArray[Any]) -> list[Value]:
    """The column as the scorer takes it: values of the schema's types, None for null."""
    if feature.type == "category":
        return list(column.tolist())
    to_type = int if feature.type == "integer" else float
    return [None if value != value else to_type(value) for value in column.tolist()]


def _put_numbers_back(
    profile: FeatureProfile,
    bins: NumericBins,
    feature: Feature,
    x: Floats,
    generator: np.random.Generator,
) -> Floats:
    """The quantiles of the reference in the order of the window's ranks; ties in random order.

    A null that becomes a number takes a random rank.
    """
    ladder = _ladder(profile, bins, feature)
    known, null = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
    wanted = len(x) - round(len(x) * profile.null_share)
    if not ladder:
        return x if wanted else np.full(len(x), np.nan)
    known = generator.permutation(known)[:wanted]
    revived = generator.permutation(null)[: wanted - len(known)]
    places = generator.permutation(wanted)
    taken, free = places[: len(revived)], np.sort(places[len(revived) :])
    back = np.full(len(x), np.nan)
    levels = _quantiles(ladder, (np.arange(wanted) + 0.5) / max(wanted, 1))
    back[known[np.argsort(x[known], kind="stable")]] = levels[free]
    back[revived] = levels[taken]
    back = np.clip(np.rint(back) if feature.type == "integer" else back, *feature.bounds)
    return np.asarray(back)


@dataclass(frozen=True, order=True)
class _Step:
    """A share of the reference's values, spread evenly between `low` and `high`."""

    low: float
    high: float
    mass: float


def _quantiles(ladder: Sequence[_Step], levels: Floats) -> Floats:
    low, high, mass = (
        np.array([getattr(step, name) for step in ladder]) for name in ("low", "high", "mass")
    )
    above = np.cumsum(mass) / mass.sum()
    slots = np.minimum(np.searchsorted(above, levels, side="right"), len(ladder) - 1)
    width = mass / mass.sum()
    within = np.clip((levels - above[slots]) / width[slots] + 1, 0, 1)
    return np.asarray(low[slots] + (high - low)[slots] * within)


def _ladder(profile: FeatureProfile, bins: NumericBins, feature: Feature) -> list[_Step]:
    """The reference's distribution, lowest values first; empty if it is not known."""
    if profile.shape is None:
        steps = _steps_of_bins(bins, profile.counts, feature.soft_range or feature.bounds)
    else:
        steps = _steps_of_quantiles(profile.shape.quantiles)
    return sorted(step for step in steps if step.mass > 0)


def _steps_of_quantiles(quantiles: Sequence[float]) -> Iterator[_Step]:
    """Between a quantile that stands twice, an atom, and the next one no value is made up."""
    atoms = {low for low, high in pairwise(quantiles) if low == high}
    for low, high in pairwise(quantiles):
        if low in atoms or high in atoms:
            yield from (_Step(low, low, 0.5), _Step(high, high, 0.5))
        else:
            yield _Step(low, high, 1.0)


def _steps_of_bins(
    bins: NumericBins, counts: Sequence[int], usual: tuple[float, float]
) -> Iterator[_Step]:
    """Bins as even as they can be; an atom inside an interval splits it."""
    knots = bins.edges or bins.atoms
    if not knots:
        return
    reach = [TAIL_BINS * (b - a) for a, b in (knots[:2], knots[-2:])] if len(knots) > 1 else [0, 0]
    low = min(knots[0], max(knots[0] - reach[0], usual[0]))
    high = max(knots[-1], min(knots[-1] + reach[1], usual[1]))
    intervals = pairwise((low, *bins.edges, high))
    for (start, end), count in zip(intervals, counts, strict=False):
        cuts = (start, *(atom for atom in bins.atoms if start < atom < end), end)
        for a, b in pairwise(cuts):
            yield _Step(a, b, count * (b - a) / (end - start) if end > start else count)
    for atom, count in zip(bins.atoms, counts[len(bins.edges) + 1 :], strict=False):
        yield _Step(atom, atom, count)


def _put_levels_back(
    profile: FeatureProfile,
    bins: CategoryBins,
    values: NDArray[Any],
    generator: np.random.Generator,
) -> NDArray[Any]:
    """Rows of the bins that hold too many, at random, get the levels of bins that hold too few."""
    codes = bins.codes(values)
    now = np.bincount(codes, minlength=len(profile.counts))
    surplus = now - _level_rows(profile, now)
    if not surplus.any():
        return values
    givers = np.concatenate(
        [
            generator.permutation(np.flatnonzero(codes == slot))[:rows]
            for slot, rows in enumerate(np.maximum(surplus, 0))
        ]
    )
    groups = bins.groups
    takers = np.repeat(np.arange(len(groups)), np.maximum(-surplus, 0))
    back = values.copy()
    for row, slot in zip(generator.permutation(givers), takers, strict=True):
        group = groups[slot]
        back[row] = group[generator.integers(len(group))]
    return back


def _level_rows(profile: FeatureProfile, now: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows each bin should hold, shape (bins,), by the largest remainders.

    UNSEEN keeps at most the share expected and is never given more: such a level has no name.
    """
    rows, unseen = int(now.sum()), len(now) - 2
    shares = np.array(profile.counts, dtype=np.float64) / sum(profile.counts)
    if shares[unseen] == 1:
        return now
    kept = min(int(now[unseen]), round(rows * shares[unseen]))
    shares[unseen] = 0
    exact = (rows - kept) * shares / shares.sum()
    wanted = np.floor(exact).astype(np.int64)
    left = rows - kept - int(wanted.sum())
    wanted[np.argsort(wanted - exact, kind="stable")[:left]] += 1
    wanted[unseen] = kept
    return np.asarray(wanted)
