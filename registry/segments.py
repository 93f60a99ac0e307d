"""The recall of the segment whose recall is worst: each level of each categorical column is one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.resampling import Codes, Floats, sums


@dataclass(frozen=True)
class Segment:
    """The positives of one level of a column: whose they are, shape (entities,), and, summed by
    entity, how many they are and how many each model catches, shape (entities, 3)."""

    name: str
    entities: Codes
    caught: Floats

    @property
    def recalls(self) -> Floats:
        """Of both models, shape (2,)."""
        positives, *caught = self.caught.sum(axis=0)
        return np.asarray(np.array(caught) / positives, dtype=np.float64)


def segments(
    columns: Mapping[str, NDArray[Any]], outcomes: Floats, codes: Codes, least: int
) -> Iterator[Segment]:
    """The levels, null too, whose positives are of `least` entities or more.

    Args: columns of objects and the entities' codes of shape (rows,); outcomes of shape (3, rows):
        whether a row is positive, and caught by either model.
    """
    positive = outcomes[0] == 1
    owners, caught = codes[positive], outcomes[:, positive]
    for name, values in columns.items():
        levels = sorted(set(values.tolist()), key=lambda level: (level is None, level))
        numbers = {level: number for number, level in enumerate(levels)}
        places = np.array([numbers[level] for level in values[positive].tolist()], dtype=np.intp)
        for number in np.flatnonzero(np.bincount(places, minlength=1) >= least):
            inside = places == number
            entities, own = np.unique(owners[inside], return_inverse=True)
            if len(entities) >= least:
                level = levels[number]
                title = f"{name} is null" if level is None else f"{name} = {level}"
                yield Segment(title, entities, sums(caught[:, inside], own, len(entities)))


def worst_recalls(piece: Floats, known: Sequence[Segment]) -> Floats:
    """The lowest recall of each resample (shape (some, entities)) for both models, shape (some, 2);
    NaN where there is no segment."""
    lowest = np.full((len(piece), 2), np.nan)
    for segment in known:
        counts = piece[:, segment.entities] @ segment.caught
        with np.errstate(invalid="ignore", divide="ignore"):
            lowest = np.fmin(lowest, counts[:, 1:] / counts[:, :1])
    return lowest
