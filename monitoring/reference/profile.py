"""The reference profile: what each feature and the score looked like at training, as counts.

Frozen with a version. It keeps the bins, so that every later window is counted in the same ones,
and keeps counts rather than shares, so that windows add up. Every value has a bin: null, infinity
and a level that was never seen have one too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import LARGEST, CategoryBins, Column, NumericBins

QUANTILES = 101  # of a shape: from the least value to the greatest in steps of a hundredth


@dataclass(frozen=True)
class Shape:
    """What the values of a number look like beyond its bins: what a data bug is told by.

    `quantiles` are `QUANTILES` of the reference's own values, as they are compared (no value
    between two is made up); `whole_share` of its values are integers. Nulls are left out of both.
    """

    quantiles: tuple[float, ...]
    whole_share: float

    def __post_init__(self) -> None:
        if len(self.quantiles) != QUANTILES:
            raise ValueError(f"a shape has {QUANTILES} quantiles, not {len(self.quantiles)}")
        if any(low > high for low, high in pairwise(self.quantiles)):
            raise ValueError("quantiles decrease")
        if not 0 <= self.whole_share <= 1:
            raise ValueError(f"{self.whole_share} is not a share")


@dataclass(frozen=True)
class FeatureProfile:
    """The bins of one feature and how many reference rows each is expected to hold.

    For numbers these are the rows counted. For categories, a level that was met in one row only is
    counted as UNSEEN: without that row it would have been, so this is how often a new row brings
    a level never seen before (Good and Turing's estimate).

    Only numbers have a shape, and none where all values were null or the version is older than
    shapes are.
    """

    name: str
    bins: NumericBins | CategoryBins
    counts: tuple[int, ...]
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if self.shape is not None and isinstance(self.bins, CategoryBins):
            raise ValueError(f"{self.name}: a category has no shape")
        if len(self.counts) != len(self.labels()):
            raise ValueError(
                f"{self.name}: {len(self.counts)} counts for {len(self.labels())} bins"
            )

    def labels(self) -> tuple[str, ...]:
        return self.bins.labels()

    def count(self, values: Column) -> NDArray[np.int64]:
        """Rows of `values` per bin: shape (bins,), the same order as `counts`, sum len(values)."""
        return self.bins.count(values)

    @property
    def null_share(self) -> float:
        return self.counts[-1] / sum(self.counts)


@dataclass(frozen=True)
class ReferenceProfile:
    """All features and the score over the same reference rows, about `entities` entities."""

    rows: int
    entities: int
    features: tuple[FeatureProfile, ...]
    score: FeatureProfile

    def __post_init__(self) -> None:
        if not 1 <= self.entities <= self.rows:
            raise ValueError(f"{self.entities} entities cannot make {self.rows} rows")
        if len({feature.name for feature in self.features}) != len(self.features):
            raise ValueError("a feature stands twice")
        for feature in (*self.features, self.score):
            if sum(feature.counts) != self.rows:
                raise ValueError(f"{feature.name}: the counts do not add up to {self.rows} rows")

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON, which `from_dict` restores exactly: no value is NaN or infinite."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "ReferenceProfile":
        """The profile that `to_dict` wrote. Raises ValueError, in one line, on anything else."""
        try:
            return cls(
                rows=_whole(document["rows"]),
                entities=_whole(document["entities"]),
                features=tuple(_feature_from_dict(item) for item in document["features"]),
                score=_feature_from_dict(document["score"]),
            )
        except KeyError as error:
            raise ValueError(f"reference profile: {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"reference profile: {error}") from error


def _feature_from_dict(item: Mapping[str, Any]) -> FeatureProfile:
    name, shape = _text(item["name"]), item["bins"]
    counts = tuple(_whole(count) for count in item["counts"])
    kind = shape["kind"]
    if kind == "category":
        top, *rare = (tuple(map(_text, group)) for group in (shape["top"], *shape["rare"]))
        bins: NumericBins | CategoryBins = CategoryBins(top, tuple(rare))
        return FeatureProfile(name, bins, counts, _shape_from_dict(item.get("shape")))
    if kind not in ("number", "integer"):
        raise ValueError(f"{name}: unknown kind {kind!r}")
    edges, atoms = (tuple(_finite(knot) for knot in shape[key]) for key in ("edges", "atoms"))
    bins = NumericBins(kind, edges, atoms)
    return FeatureProfile(name, bins, counts, _shape_from_dict(item.get("shape")))


def _shape_from_dict(item: Mapping[str, Any] | None) -> Shape | None:
    if item is None:
        return None
    return Shape(tuple(map(_finite, item["quantiles"])), _finite(item["whole_share"]))


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{value!r} is not a count")


def _finite(value: object) -> float:
    if isinstance(value, float | int) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return float(value)
    raise ValueError(f"{value!r} is not a finite number")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not a text")
