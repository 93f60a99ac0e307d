"""Which rows show a data bug: each rule looks at one row at a time, so that it can be found in any
batch and dated. A feature without a column is null in every row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import Coded, Column, NumericBins

Columns = Mapping[str, Column]


class Rule(Protocol):
    """What a row looks like that shows the bug."""

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        """True where a row shows it, shape (rows,)."""
        ...


class Scale(Protocol):
    """How much more likely a value is under one explanation than under another."""

    def score(self, values: Column) -> NDArray[np.float64]:
        """The log of the ratio, shape (rows,); 0 for null, which speaks for neither."""
        ...


@dataclass(frozen=True)
class Null:
    feature: str

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        values = column(columns, self.feature)
        if isinstance(values, Coded):
            return values.codes < 0
        if np.asarray(values).dtype != object:
            return np.isnan(np.asarray(values, dtype=np.float64))
        return coded(values).codes < 0


@dataclass(frozen=True)
class Equal:
    """Number that is `value`, as `bins` compare numbers."""

    feature: str
    value: float
    bins: NumericBins

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        same = self.bins.comparable(column(columns, self.feature)) == self.value
        return np.asarray(same, dtype=np.bool_)


@dataclass(frozen=True)
class Outside:
    """Number below `low` or above `high`."""

    feature: str
    low: float
    high: float
    bins: NumericBins

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        x = self.bins.comparable(column(columns, self.feature))
        return (x < self.low) | (x > self.high)


@dataclass(frozen=True)
class Whole:
    feature: str

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        x = np.asarray(column(columns, self.feature), dtype=np.float64)
        return np.asarray(x == np.rint(x), dtype=np.bool_)


@dataclass(frozen=True)
class Level:
    """Text that is one of `levels`, or with `other` none of them."""

    feature: str
    levels: frozenset[str]
    other: bool

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        texts = coded(column(columns, self.feature))
        shown = [(level in self.levels) is not self.other for level in texts.levels]
        return np.array([*shown, False], dtype=np.bool_)[texts.codes]


@dataclass(frozen=True)
class Likelier:
    """Value that the bug explains better than the reference does."""

    feature: str
    scale: Scale

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        return self.scale.score(column(columns, self.feature)) > 0


@dataclass(frozen=True)
class Crossed:
    """The values of `one` and `two` fit better the other way round; `scale` is log(two / one)."""

    one: str
    two: str
    scale: Scale

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        first, second = (self.scale.score(column(columns, name)) for name in (self.one, self.two))
        return first > second


@dataclass(frozen=True)
class Steps:
    """A scale for numbers: `heights`, shape (edges + 1,), between `edges`."""

    edges: NDArray[np.float64]
    heights: NDArray[np.float64]

    def score(self, values: Column) -> NDArray[np.float64]:
        x = np.asarray(values, dtype=np.float64)
        found = self.heights[np.searchsorted(self.edges, x, side="right")]
        return np.where(np.isnan(x), 0.0, found)


@dataclass(frozen=True)
class Ladder:
    """A scale for texts: the height of a level, `otherwise` for one that is not named."""

    heights: Mapping[str, float]
    otherwise: float

    def score(self, values: Column) -> NDArray[np.float64]:
        texts = coded(values)
        heights = [self.heights.get(level, self.otherwise) for level in texts.levels]
        return np.array([*heights, 0.0])[texts.codes]


def column(columns: Columns, feature: str) -> Column:
    """The column, or nulls where there is none."""
    if feature in columns:
        return columns[feature]
    return np.full(max(map(len, columns.values()), default=0), np.nan)


def coded(values: Column) -> Coded:
    """Texts as codes; None and NaN are null."""
    if isinstance(values, Coded):
        return values
    codes: dict[Any, int] = {}
    found = [-1 if v is None or v != v else codes.setdefault(v, len(codes)) for v in values]
    return Coded(np.array(found, dtype=np.int32), tuple(map(str, codes)))
