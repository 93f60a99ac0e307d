"""One pass over batches gives what counting everything at once gives."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from monitoring.drift.census import HOUR, Census, RowSample
from monitoring.log.reading import NOBODY, Batch
from monitoring.reference.bins import Coded
from monitoring.reference.profiling import build_reference

START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1e6)
RNG = np.random.default_rng(4)
REFERENCE = build_reference(
    {"mark": RNG.normal(6, 2, 400).round(1), "school": RNG.choice(["a", "b"], 400).tolist()},
    {"mark": "number", "school": "category"},
    RNG.random(400),
    entities=400,
)


def batch(hours: list[int], seed: int = 0) -> Batch:
    """A row in each hour (since the start) given."""
    rng = np.random.default_rng([seed, len(hours)])
    rows = len(hours)
    codes = rng.integers(-1, 3, rows).astype(np.int32)
    return Batch(
        times=START + np.array(hours, dtype=np.int64) * HOUR + 1,
        scores=rng.random(rows),
        flags=rng.random(rows) < 0.3,
        entities=rng.integers(0, 5, rows).astype(np.uint64),
        columns={
            "mark": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(6, 2, rows)),
            "school": Coded(codes, ("b", "a", "new")),
        },
    )


@given(st.lists(st.lists(st.integers(0, 60), max_size=30), min_size=1, max_size=5))
def test_batches_in_any_order_add_up(hours: list[list[int]]) -> None:
    batches = [batch(list(map(int, part)), seed) for seed, part in enumerate(hours)]
    census = Census(REFERENCE, threshold=0.5, bucket_hours=1, seed=0)
    for part in batches:
        census.add(part)
    assert census.rows == sum(map(len, hours))
    for hour in range(61):
        expected = np.zeros(len(REFERENCE.features[0].counts), np.int64)
        rows = 0
        for part in batches:
            here = part.times // HOUR == START // HOUR + hour
            expected += REFERENCE.features[0].count(np.asarray(part.columns["mark"])[here])
            rows += int(here.sum())
        bucket = census.buckets.get(START // HOUR + hour)
        assert (bucket.rows if bucket else 0) == rows
        if bucket:
            np.testing.assert_array_equal(bucket.counts[0], expected)
            assert all(counts.sum() == rows for counts in bucket.counts)


def test_a_column_that_is_absent_counts_as_null() -> None:
    census = Census(REFERENCE, threshold=0.5, bucket_hours=24, seed=0)
    full = batch([0, 1, 30])
    bare = {"mark": full.columns["mark"]}
    census.add(Batch(full.times, full.scores, full.flags, full.entities, bare))
    assert [bucket.counts[1][-1] for bucket in census.buckets.values()] == [2, 1]
    assert list(census.days()) == [START // HOUR // 24, START // HOUR // 24 + 1]


def test_entities_are_counted_over_the_window_and_never_above_the_rows() -> None:
    census = Census(REFERENCE, threshold=0.5, bucket_hours=1, seed=0)
    part = batch([0, 0, 26, 26])
    entities = np.array([7, NOBODY, 7, 8], dtype=np.uint64)
    census.add(Batch(part.times, part.scores, part.flags, entities, part.columns))
    assert census.entity_count() == 3
    assert [one.count for one in census.entities.values()] == [2, 2]


def test_the_sample_is_uniform_over_the_stream() -> None:
    sample = RowSample(500, seed=1)
    for part in range(40):
        sample.add(batch([part] * 100, seed=part))
    rows = sample.rows
    assert len(rows) == 500
    assert np.all(np.diff(rows.times) >= 0)
    hours = (rows.times - START) / HOUR
    assert kstest(hours / 40, "uniform").pvalue > 0.001
    assert set(np.asarray(rows.columns["school"])) == {"a", "b", "new", None}


def test_a_sample_without_rows_says_so() -> None:
    with pytest.raises(ValueError, match="no rows"):
        _ = RowSample(5, seed=1).rows
