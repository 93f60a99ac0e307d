"""Counting distinct entities in constant memory."""

import numpy as np
from numpy.typing import NDArray

from monitoring.log.reading import NOBODY

KEPT = 16_384
"""Below this many entities the count is exact; above it its standard error is about 0.8 %."""


class DistinctEntities:
    """How many entities the rows are about, by the k smallest hashes seen (Bar-Yossef et al. 2002).

    An entity's key is an HMAC, so its first 64 bits are already uniform. A row without an entity
    is its own. Two counts can be merged, so that days add up to a window.
    """

    def __init__(self) -> None:
        self._kept: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self.anonymous = 0

    def add(self, entities: NDArray[np.uint64]) -> None:
        """Count the entities of some rows, shape (rows,)."""
        known = entities[entities != NOBODY]
        self.anonymous += len(entities) - len(known)
        if len(self._kept) == KEPT:
            known = known[known < self._kept[-1]]
        if len(known):
            self._keep(known)

    def merge(self, other: "DistinctEntities") -> None:
        self.anonymous += other.anonymous
        self._keep(other._kept)

    @property
    def count(self) -> int:
        kept = self._kept
        if len(kept) < KEPT:
            return len(kept) + self.anonymous
        return round((KEPT - 1) / (float(kept[-1]) / 2.0**64)) + self.anonymous

    def _keep(self, hashes: NDArray[np.uint64]) -> None:
        self._kept = np.unique(np.concatenate([self._kept, hashes]))[:KEPT]
