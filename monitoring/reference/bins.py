"""The bins that values are counted in. Every value has one: null, infinity and a level that was
never seen have one too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["number", "integer", "category"]
LARGEST = float(np.finfo(np.float32).max)  # stands for infinity, which JSON cannot write


@dataclass(frozen=True)
class Coded:
    """Texts as codes into `levels`, shape (rows,), -1 for null: what a Parquet file holds, and
    counted without making a text of each row."""

    codes: NDArray[np.int32]
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[Any] | slice) -> "Coded":
        """The rows of a mask, of positions or of a slice."""
        return Coded(self.codes[rows], self.levels)

    def texts(self) -> NDArray[Any]:
        """Objects of shape (rows,), None for null."""
        return np.array((*self.levels, None), dtype=object)[self.codes]


Column: TypeAlias = NDArray[Any] | Sequence[Any] | Coded


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

    def comparable(self, values: Column) -> NDArray[np.float64]:
        """The values as they are compared with edges and atoms; NaN is null."""
        return comparable(values, self.kind)

    def codes(self, values: Column) -> NDArray[np.int64]:
        """The bin of each value, shape (rows,): positions in `labels`; NaN is null."""
        x = self.comparable(values)
        codes = np.searchsorted(np.array(self.edges), x, side="right").astype(np.int64)
        for offset, atom in enumerate(self.atoms, start=len(self.edges) + 1):
            codes[x == atom] = offset
        codes[np.isnan(x)] = len(self.edges) + 1 + len(self.atoms)
        return codes

    def count(self, values: Column) -> NDArray[np.int64]:
        """Rows per bin, in the order of `labels`; NaN is null.

        The same as tallying `codes`, at a tenth of the cost: a comparison with each edge is
        vectorised by the processor, a search is not.
        """
        x = self._compared(values)
        known = len(x) - np.count_nonzero(np.isnan(x))
        atoms = [np.count_nonzero(x == atom) for atom in self.atoms]
        below = [
            np.count_nonzero(x < edge)
            - sum(rows for atom, rows in zip(self.atoms, atoms, strict=True) if atom < edge)
            for edge in self.edges
        ]
        intervals = np.diff([0, *below, known - sum(atoms)])
        return np.array([*intervals, *atoms, len(x) - known], dtype=np.int64)

    def _compared(self, values: Column) -> NDArray[np.floating]:
        """As `comparable`, kept in single precision where that is what is compared."""
        if LARGEST in map(abs, (*self.edges, *self.atoms)) or self.kind == "integer":
            return self.comparable(values)
        assert not isinstance(values, Coded)
        with np.errstate(over="ignore"):  # beyond single precision is infinite, above every edge
            return np.asarray(values).astype(np.float32)


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
        counts = np.zeros(len(self.groups), dtype=np.int64)
        slots = self._slots()
        for value, rows in tally(values).items():
            counts[slots.get(value, len(counts) - 2)] += rows
        return counts

    def codes(self, values: Column) -> NDArray[np.int64]:
        """The bin of each value, shape (rows,): positions in `labels`; None is null."""
        slots, unseen = self._slots(), len(self.groups) - 2
        if isinstance(values, Coded):
            of_level = [slots.get(level, unseen) for level in (*values.levels, None)]
            return np.array(of_level, dtype=np.int64)[values.codes]
        return np.array([slots.get(value, unseen) for value in values], dtype=np.int64)

    @property
    def groups(self) -> tuple[tuple[str | None, ...], ...]:
        """The levels of each bin, in the order of `labels`; none is UNSEEN, None is NULL."""
        return (*((level,) for level in self.top), *self.rare, (), (None,))

    def _slots(self) -> dict[str | None, int]:
        return {level: slot for slot, group in enumerate(self.groups) for level in group}


def tally(values: Column) -> dict[str | None, int]:
    """Rows of each level; None is null."""
    if not isinstance(values, Coded):
        return Counter(values)
    rows = np.bincount(values.codes + 1, minlength=len(values.levels) + 1).tolist()
    return dict(zip((None, *values.levels), rows, strict=True))


def comparable(values: Column, kind: Literal["number", "integer"]) -> NDArray[np.float64]:
    """Numbers of shape (rows,) as a kind is compared: in range, and -0.0 as 0.0."""
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
