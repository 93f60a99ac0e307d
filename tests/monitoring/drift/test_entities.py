"""Distinct entities: exact while few, close while many, additive, and blind to nobody."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitoring.drift.entities import KEPT, DistinctEntities
from monitoring.log.reading import NOBODY


def hashes(first: int, last: int) -> NDArray[np.uint64]:
    """What the HMAC of each number would start with."""
    digests = (hashlib.sha256(str(n).encode()).digest()[:8] for n in range(first, last))
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


@given(st.lists(st.lists(st.integers(0, 300), max_size=50), max_size=8), st.integers(0, 20))
def test_few_entities_are_counted_exactly(batches: list[list[int]], anonymous: int) -> None:
    known = hashes(0, 301)
    found = DistinctEntities()
    for batch in batches:
        found.add(known[batch])
    found.add(np.full(anonymous, NOBODY))
    assert found.count == len(set().union(*batches)) + anonymous


@given(st.lists(st.integers(0, 99)), st.lists(st.integers(0, 99)))
def test_merging_counts_an_entity_of_both_once(one: list[int], other: list[int]) -> None:
    known = hashes(0, 100)
    left, right = DistinctEntities(), DistinctEntities()
    left.add(known[one])
    right.add(known[other])
    left.merge(right)
    assert left.count == len({*one, *other})


def test_many_entities_are_counted_within_three_per_cent() -> None:
    everyone = hashes(0, 8 * KEPT)
    found = DistinctEntities()
    for batch in np.array_split(np.tile(everyone, 2), 30):
        found.add(batch)
    assert found.count == pytest.approx(8 * KEPT, rel=0.03)
