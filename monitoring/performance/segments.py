"""Recall by segment: each level of each categorical feature against the rest of the rows.

Every segment is one more chance of a false alarm, so q-values decide, and a difference too small to
act on is never called worse, however many rows prove it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.performance.evaluation import Rate, rate
from monitoring.reference.bins import Coded
from monitoring.statistics import benjamini_hochberg, fisher_p

MIN_POSITIVES = 10  # of a segment and of the rest; with fewer no difference could show
MAX_Q = 0.05
MIN_GAP = 0.05
_SLIVER = 1e-9


@dataclass(frozen=True)
class Segment:
    """One level (None: null) of one feature. `p` is of "recall is no lower than the rest's"."""

    feature: str
    level: str | None
    rows: int
    positives: int
    recall: Rate
    rest: Rate
    p: float
    q: float

    @property
    def worse(self) -> bool:
        gap = self.rest.successes / self.rest.trials - self.recall.successes / self.recall.trials
        return self.q < MAX_Q and gap >= MIN_GAP - _SLIVER

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the performance document."""
        return {
            "feature": self.feature,
            "level": "NULL" if self.level is None else self.level,
            "rows": self.rows,
            "positives": self.positives,
            "recall": self.recall.estimate.to_dict(),
            "rest_recall": self.rest.value,
            "p": self.p,
            "q": self.q,
            "worse": self.worse,
        }


def compare(
    columns: Mapping[str, Coded],
    positive: NDArray[np.bool_],
    flagged: NDArray[np.bool_],
    entities: NDArray[np.intp],
) -> tuple[Segment, ...]:
    """Every segment with enough positives, worst q first, over labelled rows.

    All arrays have shape (rows,); `entities` are codes 0, 1, …. Raises nothing: where no segment
    has enough positives there is none.
    """
    caught, owners = flagged[positive], entities[positive]
    found = []
    for name, column in columns.items():
        rows = _rows_by_code(column)
        codes = column.codes[positive]
        for code in _testable(codes):
            inside = codes == code
            level = None if code < 0 else column.levels[code]
            recall = rate(caught[inside], owners[inside])
            rest = rate(caught[~inside], owners[~inside])
            found.append((name, level, rows[code + 1], recall, rest, _lower_p(recall, rest)))
    q_values = benjamini_hochberg([p for *_, p in found])
    segments = (
        Segment(name, level, rows, recall.trials, recall, rest, p, q)
        for (name, level, rows, recall, rest, p), q in zip(found, q_values, strict=True)
    )
    return tuple(sorted(segments, key=lambda segment: (segment.q, segment.p)))


def _lower_p(recall: Rate, rest: Rate) -> float:
    """Fisher's test of more misses, on effective counts made whole in favour of no difference."""
    trials, others = (max(1, math.floor(one.effective + _SLIVER)) for one in (recall, rest))
    hits = math.ceil(recall.successes / recall.trials * trials - _SLIVER)
    other_hits = math.floor(rest.successes / rest.trials * others + _SLIVER)
    return fisher_p(trials - hits, trials, other_hits=others - other_hits, other_trials=others)


def _testable(codes: NDArray[np.int32]) -> Iterator[int]:
    """The codes (-1: null) that enough positives have, and enough others have not."""
    counts = np.bincount(codes + 1) if len(codes) else np.zeros(1, dtype=np.intp)
    enough = (counts >= MIN_POSITIVES) & (len(codes) - counts >= MIN_POSITIVES)
    return (int(slot) - 1 for slot in np.flatnonzero(enough))


def _rows_by_code(column: Coded) -> list[int]:
    """Rows of null, then of each level."""
    counts: list[int] = np.bincount(column.codes + 1, minlength=len(column.levels) + 1).tolist()
    return counts
