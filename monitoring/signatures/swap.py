"""The signature of two columns that were swapped: each looks like the other's reference."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from monitoring.reference.bins import CategoryBins, NumericBins
from monitoring.reference.profile import FeatureProfile
from monitoring.signatures.distance import FEWEST_ROWS, distance, knots, shares, tolerance
from monitoring.signatures.kinds import Sample, Suspect, level_shares
from monitoring.signatures.rules import Crossed, Ladder, Scale, Steps

UNLIKE = 0.30  # distance from which a column is not its own reference's
ABSENT = 1e-3  # the share of a level that a column did not have


def swapped(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Suspect]]:
    """Pairs of columns of which each looks like the other's reference and unlike its own."""
    for kind in (NumericBins, CategoryBins):
        alike = [sample for sample in samples if isinstance(sample.profile.bins, kind)]
        moved = [sample for sample in alike if _distance(sample, sample.profile) >= UNLIKE]
        for one, two in combinations(moved, 2):
            if _crossed(one, two) and _crossed(two, one):
                yield from _swap(one, two)


def _distance(sample: Sample, profile: FeatureProfile) -> float:
    """Between the rows' values and a reference of the same kind, 0 to 1; 0 without any value."""
    if isinstance(profile.bins, CategoryBins):
        now = profile.count(sample.texts)[:-1]
        before = np.array(profile.counts[:-1])
        if not (now.sum() and before.sum()):
            return 0.0
        return float(np.abs(now / now.sum() - before / before.sum()).sum() / 2)
    if profile.shape is None or not sample.ordered.size:
        return 0.0
    return distance(sample.ordered, np.array(profile.shape.quantiles))


def _crossed(one: Sample, two: Sample) -> bool:
    rows = one.weight * len(one.values)
    own, other = _distance(one, one.profile), _distance(one, two.profile)
    return rows >= FEWEST_ROWS and other <= min(tolerance(rows), own / 2)


def _swap(one: Sample, two: Sample) -> Iterator[tuple[Sample, Suspect]]:
    scale, before = _scale(one.profile, two.profile)
    rule = Crossed(one.name, two.name, scale)
    for sample, other in ((one, two), (two, one)):
        yield sample, Suspect("swapped", rule, before, of_known=False, detail={"with": other.name})


def _scale(one: FeatureProfile, two: FeatureProfile) -> tuple[Scale, float]:
    """log(two / one) of a value, and how often reference rows look swapped by themselves, if the
    two are independent."""
    if isinstance(one.bins, CategoryBins) and isinstance(two.bins, CategoryBins):
        each = (level_shares(one, one.bins), level_shares(two, two.bins))
        levels = sorted({*each[0], *each[1]})
        p, q = (np.array([share.get(level, 0.0) for level in levels]) + ABSENT for share in each)
        heights = np.log(q / p)
        scale: Scale = Ladder(dict(zip(levels, heights.tolist(), strict=True)), 0.0)
    else:
        first, second = (np.array(part.shape.quantiles) for part in (one, two) if part.shape)
        edges = knots(first, second)
        p, q = shares(first, edges), shares(second, edges)
        heights = np.log(q / p)
        scale = Steps(edges, heights)
    swapped_anyway = heights[:, None] > heights[None, :]
    return scale, float(np.outer(p, q)[swapped_anyway].sum() / (p.sum() * q.sum()))
