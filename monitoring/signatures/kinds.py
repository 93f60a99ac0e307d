"""Data bugs that one value shows by itself: null, an unseen level, the same value again and again,
out of range, whole where it had decimals.

Each function answers with a suspect: what to count and how clearly its share must have risen. The
counting, and the test, are the same for all of them (monitoring.signatures.search).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import CategoryBins, Coded, Column, NumericBins
from monitoring.reference.profile import FeatureProfile, Shape
from monitoring.signatures.distance import distance, tolerance
from monitoring.signatures.rules import Equal, Level, Null, Outside, Rule, Whole, coded
from registry.privacy import looks_personal
from registry.schema import Range

Bug: TypeAlias = Literal["nulls", "unseen", "stuck", "factor", "range", "swapped", "integer"]

RISE = 0.10  # of a share, from which a bug is worth naming
ODDS = 3.0  # a share that was there before is moved by the population too, if not threefold
NULLS_WITH_REASON, REASON_ODDS = 0.25, 10.0  # where many are null, another population has others
STUCK_RISE = 0.15
STUCK_ODDS = 10.0  # a shift of one sd multiplies the odds of the commonest value by less
STUCK_ALONE = 0.6  # of all that rose; values that are rounded rise several at a time
COMMON = 0.05  # share of the reference's values
FEWEST_ALIKE = 3  # rows with one value; fewer are no sign of anything
TOLERATED = 0.5  # of the usual width: how far a population moves out of what was usual
NEARLY_ALL = 0.95  # of the values: less of one level, or of integers, is a population
MOST_WHOLE_BEFORE = 0.5
LEVELS_SHOWN = 5
# Effective rows. A value that so few share may be a person's name in the wrong column, and only
# some of what is personal can be told by its shape.
FEWEST_SHOWN = 5


@dataclass(frozen=True)
class Suspect:
    """What a bug of this kind would look like, before it is tested.

    `before` is the share of the reference that shows `rule`: of its rows, or, with `of_known`, of
    its values that are not null, and the same holds for the window.
    """

    kind: Bug
    rule: Rule
    before: float
    of_known: bool = True
    rise: float = RISE
    odds: float = ODDS
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One feature of the window beside its reference.

    `usual` is the range that was declared; each row counts as `weight` effective rows.
    """

    profile: FeatureProfile
    usual: Range | None
    values: Column
    weight: float

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def shape(self) -> Shape | None:
        return self.profile.shape

    @cached_property
    def ordered(self) -> NDArray[np.float64]:
        """The numbers that are not null, as the reference compares them, ascending."""
        assert isinstance(self.profile.bins, NumericBins)
        x = self.profile.bins.comparable(self.values)
        return np.sort(x[~np.isnan(x)])

    @cached_property
    def texts(self) -> Coded:
        return coded(self.values)

    @cached_property
    def levels(self) -> dict[str, int]:
        """Rows of each text, the most frequent first, and by name where they are equal."""
        rows = np.bincount(self.texts.codes + 1, minlength=len(self.texts.levels) + 1)[1:]
        found = zip(self.texts.levels, rows.tolist(), strict=True)
        return dict(sorted(found, key=lambda item: (-item[1], item[0])))


def single(sample: Sample) -> Iterator[Suspect]:
    """What each value by itself may show, the most specific first; nulls are the last."""
    bins = sample.profile.bins
    if isinstance(bins, CategoryBins):
        yield from _stuck_level(sample, bins)
        yield from _unseen(sample, bins)
    elif sample.shape is not None and sample.ordered.size:
        yield from _stuck_number(sample, bins, sample.shape)
        yield from _outside(sample, bins, sample.shape)
        yield from _whole(sample, sample.shape)
    before = sample.profile.null_share
    odds = ODDS if before < NULLS_WITH_REASON else REASON_ODDS
    yield Suspect("nulls", Null(sample.name), before, of_known=False, odds=odds)


def known_levels(bins: CategoryBins) -> frozenset[str]:
    return frozenset((*bins.top, *(level for group in bins.rare for level in group)))


def level_shares(profile: FeatureProfile, bins: CategoryBins) -> dict[str, float]:
    """The share of each known level among the reference's values; a group's is divided evenly."""
    known = sum(profile.counts[:-1])
    groups = (*((level,) for level in bins.top), *bins.rare)
    return {
        level: rows / len(group) / max(known, 1)
        for group, rows in zip(groups, profile.counts, strict=False)
        for level in group
    }


def _unseen(sample: Sample, bins: CategoryBins) -> Iterator[Suspect]:
    known = known_levels(bins)
    new = [level for level, rows in sample.levels.items() if rows and level not in known]
    if new:
        often = [level for level in new if sample.levels[level] * sample.weight >= FEWEST_SHOWN]
        shown = [level for level in often if not looks_personal(level)][:LEVELS_SHOWN]
        rule = Level(sample.name, known, other=True)
        rows = max(sum(sample.profile.counts[:-1]), 1)
        before = sample.profile.counts[-2] / rows
        yield Suspect("unseen", rule, before, detail={"levels": shown})


def _stuck_level(sample: Sample, bins: CategoryBins) -> Iterator[Suspect]:
    total = sum(sample.levels.values())
    before = level_shares(sample.profile, bins)
    risen = {
        level: rows / total - before[level]
        for level, rows in sample.levels.items()
        if rows >= FEWEST_ALIKE and level in before
    }
    level = _alone(risen)
    if level is not None and sample.levels[level] >= NEARLY_ALL * total:
        rule = Level(sample.name, frozenset((level,)), other=False)
        yield _stuck(rule, before[level], level)


def _stuck_number(sample: Sample, bins: NumericBins, shape: Shape) -> Iterator[Suspect]:
    values, rows = np.unique(sample.ordered, return_counts=True)
    often = rows >= FEWEST_ALIKE
    before = {value: number_share(sample.profile, bins, shape, value) for value in values[often]}
    total = len(sample.ordered)
    risen = {
        value: count / total - before[value]
        for value, count in zip(values[often].tolist(), rows[often].tolist(), strict=True)
    }
    value = _alone(risen)
    if value is not None and _is_no_limit(sample, bins, shape, value, before[value]):
        rule = Equal(sample.name, value, bins)
        exact = np.asarray(sample.values, dtype=np.float64)[rule.mask({sample.name: sample.values})]
        yield _stuck(rule, before[value], float(exact[0]))


def _is_no_limit(
    sample: Sample, bins: NumericBins, shape: Shape, value: float, before: float
) -> bool:
    """False where the value is one that a population heaps up at, and it has moved.

    That is a value that was common before, or an end of the range. The other rows tell: if it
    sticks, they are as they were.
    """
    ends = (shape.quantiles[0], shape.quantiles[-1], *bins.comparable(sample.usual or ()))
    rest = sample.ordered[sample.ordered != value]
    points = np.array([point for point in shape.quantiles if point != value])
    if (before < COMMON and value not in ends) or not (rest.size and points.size):
        return True
    return distance(rest, points) <= tolerance(sample.weight * len(rest))


def number_share(profile: FeatureProfile, bins: NumericBins, shape: Shape, value: float) -> float:
    """The share of `value` among the reference's: exact if it has a bin, else to a hundredth."""
    if value in bins.atoms:
        atom = len(bins.edges) + 1 + bins.atoms.index(value)
        return profile.counts[atom] / sum(profile.counts[:-1])
    return shape.quantiles.count(value) / len(shape.quantiles)


def _alone(risen: Mapping[Any, float]) -> Any | None:
    """The value whose share rose most, if it is about the only one that rose."""
    if not risen:
        return None
    most = max(risen, key=lambda value: risen[value])
    visibly = sum(rise for rise in risen.values() if rise > RISE / 2)
    return most if visibly and risen[most] >= STUCK_ALONE * visibly else None


def _stuck(rule: Rule, before: float, value: float | str) -> Suspect:
    detail = {"value": value}
    return Suspect("stuck", rule, before, rise=STUCK_RISE, odds=STUCK_ODDS, detail=detail)


def _outside(sample: Sample, bins: NumericBins, shape: Shape) -> Iterator[Suspect]:
    """Only where values are far out: a population that moved is out of range a little."""
    low, high = shape.quantiles[0], shape.quantiles[-1]
    if sample.usual is None:
        margin = TOLERATED * (high - low)
    else:
        margin, low, high = 0.0, min(low, sample.usual[0]), max(high, sample.usual[1])
    far = (sample.ordered < low - margin) | (sample.ordered > high + margin)
    if far.mean() >= RISE:
        detail = {"low": low, "high": high}
        yield Suspect("range", Outside(sample.name, low, high, bins), 0.0, detail=detail)


def _whole(sample: Sample, shape: Shape) -> Iterator[Suspect]:
    rule = Whole(sample.name)
    now = rule.mask({sample.name: sample.values}).sum() / len(sample.ordered)
    if shape.whole_share <= MOST_WHOLE_BEFORE and now >= NEARLY_ALL:
        yield Suspect("integer", rule, shape.whole_share)
