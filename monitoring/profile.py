"""The reference profile: what each feature and the score looked like at training, as counts.

Frozen with a version. It keeps the bins, so that every later window is counted in the same ones,
and keeps counts rather than shares, so that windows add up. Every value has a bin: null, infinity
and a level that was never seen have one too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["number", "integer", "category"]


@dataclass(frozen=True)
class Coded:
    """Texts as codes into `levels`, shape (rows,), -1 for null: what a Parquet file holds, and
    counted without making a text of each row."""

    codes: NDArray[np.int32]
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[Any]) -> "Coded":
        """The rows of a mask or of positions."""
        return Coded(self.codes[rows], self.levels)

    def texts(self) -> NDArray[Any]:
        """Objects of shape (rows,), None for null."""
        return np.array((*self.levels, None), dtype=object)[self.codes]


Column: TypeAlias = NDArray[Any] | Sequence[Any] | Coded

BINS = 10  # a bin's worth of mass is a tenth of the rows that are not null
MIN_ROWS = 5  # fewer rows than this earn no bin of their own, whatever their share
MAX_LEVELS = 20
MIN_LEVEL_SHARE = 0.01
MIN_LEVEL_ROWS = 10  # among many levels of a few rows each, some reach five by luck
LARGEST = float(np.finfo(np.float32).max)  # stands for infinity, which JSON cannot write


@dataclass(frozen=True)
class NumericBins:
    """Half-open intervals between `edges`, a bin for each of the `atoms`, and NULL, in this order.

    The outer intervals are unbounded. An atom is one value that holds a bin's worth of mass; it
    belongs to no interval. Values of kind "number" are compared in single precision, so that a
    float32 and a float64 copy of one column fall alike; an "integer" is compared exactly.
    """

    kind: Literal["number", "integer"]
    edges: tuple[float, ...]
    atoms: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, knots in (("edges", self.edges), ("atoms", self.atoms)):
            if any(low >= high for low, high in pairwise(knots)):
                raise ValueError(f"{name} are not strictly increasing: {list(knots)}")

    def labels(self) -> tuple[str, ...]:
        names = _texts((*self.edges, *self.atoms))
        edges, atoms = names[: len(self.edges)], names[len(self.edges) :]
        inner = (f"[{a}, {b})" for a, b in pairwise(edges))
        if edges:
            intervals = (f"< {edges[0]}", *inner, f">= {edges[-1]}")
        else:
            intervals = ("other values" if atoms else "any value",)
        return (*intervals, *(f"= {atom}" for atom in atoms), "NULL")

    def count(self, values: Column) -> NDArray[np.int64]:
        """Rows per bin, in the order of `labels`; NaN is null."""
        x = _comparable(values, self.kind)
        slots = np.searchsorted(np.array(self.edges), x, side="right")
        for offset, atom in enumerate(self.atoms, start=len(self.edges) + 1):
            slots[x == atom] = offset
        null = len(self.edges) + 1 + len(self.atoms)
        slots[np.isnan(x)] = null
        return np.bincount(slots, minlength=null + 1).astype(np.int64)


@dataclass(frozen=True)
class CategoryBins:
    """A bin for each of the `top` levels and each group of `rare` ones, then UNSEEN and NULL.

    There is one group at least, and several where the rare levels hold several bins' worth of
    mass: in a single one, a collapse of hundreds of levels onto one of them would not show.
    """

    top: tuple[str, ...]
    rare: tuple[tuple[str, ...], ...]
    kind: Literal["category"] = "category"

    def __post_init__(self) -> None:
        levels = (*self.top, *(level for group in self.rare for level in group))
        if not self.rare or len(set(levels)) != len(levels):
            raise ValueError("rare levels need a group, and each level stands once")

    def labels(self) -> tuple[str, ...]:
        if len(self.rare) == 1:
            rare = ["RARE"]
        else:
            rare = [f"RARE {min(group)} to {max(group)}" for group in self.rare]
        return (*(f"level {level}" for level in self.top), *rare, "UNSEEN", "NULL")

    def count(self, values: Column) -> NDArray[np.int64]:
        """Rows per bin, in the order of `labels`; None is null."""
        groups = (*((level,) for level in self.top), *self.rare, (), (None,))
        slots = {level: slot for slot, group in enumerate(groups) for level in group}
        unseen = len(groups) - 2
        counts = np.zeros(len(groups), dtype=np.int64)
        for value, rows in _tally(values).items():
            counts[slots.get(value, unseen)] += rows
        return counts


@dataclass(frozen=True)
class FeatureProfile:
    """The bins of one feature and how many reference rows each is expected to hold.

    For numbers these are the rows counted. For categories, a level that was met in one row only is
    counted as UNSEEN: without that row it would have been, so this is how often a new row brings
    a level never seen before (Good and Turing's estimate).
    """

    name: str
    bins: NumericBins | CategoryBins
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
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
    return FeatureProfile(name, bins, tuple(bins.count(values).tolist()))


def _tally(values: Column) -> dict[str | None, int]:
    """Rows of each level; None is null."""
    if not isinstance(values, Coded):
        return Counter(values)
    rows = np.bincount(values.codes + 1, minlength=len(values.levels) + 1).tolist()
    return dict(zip((None, *values.levels), rows, strict=True))


def _category(name: str, values: Column) -> FeatureProfile:
    seen = Counter({str(level): n for level, n in _tally(values).items() if level is not None})
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
    x = _comparable(values, kind)
    distinct, rows = np.unique(x[~np.isnan(x)], return_counts=True)
    is_atom = rows >= max(MIN_ROWS, rows.sum() / BINS)
    atoms = tuple(distinct[is_atom].tolist())
    return NumericBins(kind, _edges(distinct[~is_atom], rows[~is_atom], rows.sum()), atoms)


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


def _comparable(values: Column, kind: Literal["number", "integer"]) -> NDArray[np.float64]:
    assert not isinstance(values, Coded)
    x = np.clip(np.asarray(values, dtype=np.float64), -LARGEST, LARGEST) + 0.0  # no -0.0
    return x.astype(np.float32).astype(np.float64) if kind == "number" else x


def _texts(numbers: Sequence[float]) -> list[str]:
    """Whole numbers in full, others with six digits, or more where two would look the same."""
    for digits in range(6, 18):
        texts = [
            f"{x:.0f}" if x.is_integer() and abs(x) < 1e15 else f"{x:.{digits}g}" for x in numbers
        ]
        if len(set(texts)) == len(numbers):
            break
    return texts


def _feature_from_dict(item: Mapping[str, Any]) -> FeatureProfile:
    name, shape = _text(item["name"]), item["bins"]
    counts = tuple(_whole(count) for count in item["counts"])
    kind = shape["kind"]
    if kind == "category":
        top, *rare = (tuple(map(_text, group)) for group in (shape["top"], *shape["rare"]))
        return FeatureProfile(name, CategoryBins(top, tuple(rare)), counts)
    if kind not in ("number", "integer"):
        raise ValueError(f"{name}: unknown kind {kind!r}")
    edges, atoms = (tuple(_finite(knot) for knot in shape[key]) for key in ("edges", "atoms"))
    return FeatureProfile(name, NumericBins(kind, edges, atoms), counts)


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
