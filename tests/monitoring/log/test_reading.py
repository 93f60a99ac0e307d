"""Reading compacted days: the same rows as the lines they were made of, fast and in little memory,
whatever is renamed meanwhile."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.log import compaction
from monitoring.log import files as log_files
from monitoring.log import tables as log_tables
from monitoring.log.reading import Batch, LogReader, Query
from monitoring.reference.bins import Coded
from registry.errors import IntegrityError
from registry.state import State
from tests.monitoring.log.log_rows import DAY, SCHEMA, batches, key, moment, read, record, write
from tests.server import PROJECT


def compact(home: Path) -> None:
    state, root = State(home), log_of(home)
    with log_files.maintenance(root):
        for day in log_files.days(root):
            compaction.compact_day(root, day, state=state, progress=lambda _: None)


def log_of(home: Path) -> Path:
    return State(home).inference_log


FEATURES = st.fixed_dictionaries(
    {},
    optional={
        "age": st.none() | st.integers(-(2**53), 2**53),
        "grade": st.none() | st.floats(-1e37, 1e37) | st.integers(-9, 9),
        "kind": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    },
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "features": FEATURES,
            "entity": st.none() | st.integers(1, 2**128 - 1).map(lambda one: f"{one:032x}"),
            "period": st.none() | st.integers(2000, 2100),
            "risk_score": st.floats(0, 1),
            "risk_label": st.integers(0, 1),
            "ts": st.integers(-(10**6), 86_400 * 10**6 + 10**6).map(
                lambda one: (moment(DAY) + timedelta(microseconds=one)).isoformat()
            ),
        }
    ),
    max_size=30,
)


@given(rows=RECORDS)
@settings(max_examples=40)
def test_a_compacted_day_reads_as_its_lines_did(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    home = tmp_path_factory.mktemp("home")
    records = [record(number, **row) for number, row in enumerate(rows)]
    write(log_of(home), DAY, *records, "not json", tail='{"prediction_id":')
    before = read(log_of(home))
    compact(home)
    assert not list(log_of(home).glob("dt=*/*.jsonl"))
    after = read(log_of(home))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_equal(other, one)


def test_a_window_cuts_through_row_groups(tmp_path: Path) -> None:
    """The rows of each group are in order of time; the window holds the end of one, a whole one
    and the start of another."""
    group, rows = log_tables.ROW_GROUP, 4 * log_tables.ROW_GROUP
    write_part(log_of(tmp_path), rows)
    start = moment(DAY) + timedelta(microseconds=group - 3)
    query = Query("v1.0.0", start, start + timedelta(microseconds=group + 10), SCHEMA.names)
    reader = LogReader(log_of(tmp_path), SCHEMA)
    ages = np.concatenate([np.asarray(one.columns["age"]) for one in reader.batches(query)])
    assert ages.tolist() == list(range(group - 3, 2 * group + 7))
    other = Query("v9.9.9", query.start, query.end, SCHEMA.names)
    assert list(reader.batches(other)) == []
    assert reader.tallies.other_versions == group + 10


def test_a_batch_is_bounded_and_ids_come_when_asked_for(tmp_path: Path) -> None:
    write_part(log_of(tmp_path), 2 * log_tables.ROW_GROUP + 5, row_group=10**6)
    found, _ = batches(log_of(tmp_path), ids=False)
    assert [len(one) for one in found] == [log_tables.ROW_GROUP, log_tables.ROW_GROUP, 5]
    assert all(one.ids is None for one in found)


def test_levels_of_one_row_group_do_not_leak_into_another(tmp_path: Path) -> None:
    half = log_tables.ROW_GROUP
    rows = (
        record(n, features={"kind": "early" if n < half else ("late" if n % 2 else None)})
        for n in range(half + 50)
    )
    write(log_of(tmp_path), DAY, *rows)
    compact(tmp_path)
    kinds = dict(
        zip((found := read(log_of(tmp_path))).prediction_ids, found.columns["kind"], strict=True)
    )
    assert all(kinds[f"p-{n}"] == "early" for n in range(half))
    assert [kinds[f"p-{half + n}"] for n in range(4)] == [None, "late", None, "late"]


def test_a_feature_that_was_always_null_or_absent_keeps_its_kind(tmp_path: Path) -> None:
    """Nothing is stored of the version, so that compaction cannot know what it is."""
    write(log_of(tmp_path), DAY, *(record(n, features={"kind": None}) for n in range(3)))
    compact(tmp_path)
    (found,), _ = batches(log_of(tmp_path))
    assert isinstance(found.columns["kind"], Coded)
    np.testing.assert_array_equal(found.columns["kind"].codes, [-1, -1, -1])
    np.testing.assert_array_equal(np.asarray(found.columns["age"]), [np.nan] * 3)


def test_a_reader_in_the_middle_of_a_day_finishes_it_when_it_is_compacted(tmp_path: Path) -> None:
    for name in "ab":
        numbers = range(*((0, 9_000) if name == "a" else (9_000, 18_000)))
        write(log_of(tmp_path), DAY, *map(record, numbers), name=name)
    query = Query("v1.0.0", moment(DAY), moment("2026-03-02"), (), ids=True)
    reading = LogReader(log_of(tmp_path), SCHEMA).batches(query)
    seen = _names(next(reading))
    compact(tmp_path)
    for batch in reading:
        seen += _names(batch)
    assert sorted(seen) == sorted(f"p-{n}" for n in range(18_000))


def test_a_killed_compaction_leaves_no_row_twice(tmp_path: Path) -> None:
    """Killed after the part was in its place and before its source was unlinked."""
    path = write(log_of(tmp_path), DAY, *map(record, range(5)))
    copy = path.read_bytes()
    compact(tmp_path)
    (part,) = log_files.parts(path.parent)
    (source,) = part.sources
    (path.parent / source).write_bytes(copy)
    assert read(log_of(tmp_path)).prediction_ids == [f"p-{n}" for n in range(5)]
    compact(tmp_path)
    assert not (path.parent / source).exists()
    assert read(log_of(tmp_path)).prediction_ids == [f"p-{n}" for n in range(5)]


@pytest.mark.parametrize(
    "facts",
    [
        '{"sources":[],"torn":"x","invalid":0}',
        '{"sources":[],"torn":0,"invalid":null}',
        '{"sources":[],"torn":true,"invalid":0}',
        '{"sources":[],"torn":0,"invalid":-1}',
        '{"sources":[],"torn":0}',
        '{"sources":[1],"torn":0,"invalid":0}',
        '{"sources":[[]],"torn":0,"invalid":0}',
        '{"sources":"a.sealed","torn":0,"invalid":0}',
        '{"sources":null,"torn":0,"invalid":0}',
        "[]",
        "",
    ],
)
def test_a_part_that_does_not_say_what_it_was_made_of_is_damaged(
    tmp_path: Path, facts: str
) -> None:
    write(log_of(tmp_path), DAY, record(1))
    compact(tmp_path)
    (path,) = log_of(tmp_path).glob("dt=*/part-*/part.json")
    path.write_text(facts)
    with pytest.raises(IntegrityError, match=r"part\.json: unreadable"):
        read(log_of(tmp_path))


@pytest.mark.parametrize("column", [b"risk_score", b"prediction_id", b"risk_label", b"entity"])
@pytest.mark.parametrize("byte", [b"x", b"\xff"])
def test_a_footer_with_a_wrong_byte_in_a_name_is_damaged(
    tmp_path: Path, column: bytes, byte: bytes
) -> None:
    """The first gives a column that is missing, the second a name that is no text."""
    write(log_of(tmp_path), DAY, *map(record, range(3)))
    compact(tmp_path)
    (path,) = log_of(tmp_path).glob("dt=*/part-*/*.parquet")
    content = path.read_bytes()
    assert column in content
    path.write_bytes(content.replace(column, byte + column[1:]))
    with pytest.raises(IntegrityError, match=r"v1\.0\.0\.parquet: no readable Parquet") as caught:
        read(log_of(tmp_path))
    assert "\n" not in str(caught.value)


_MEASURE = """
import re, sys
from datetime import UTC, datetime
from pathlib import Path
from monitoring.log.reading import Batch, LogReader, Query
from registry.schema import Feature, Schema
names = ("age", "grade")
schema = Schema((Feature("age", "integer", ""), Feature("grade", "number", "")))
query = Query("v1.0.0", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC), names)
rows = sum(len(one) for one in LogReader(Path(sys.argv[1]), schema).batches(query))
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)
print(rows, int(peak) // 1024, "pandas" in sys.modules)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    for number, rows in enumerate((300_000, 3_000_000)):
        write_part(log_of(tmp_path / str(number)), rows)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(log_of(tmp_path / str(number)))],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        counted, peak, pandas = done.stdout.split()
        assert (int(counted), pandas) == (rows, "False")
        peaks.append(int(peak))
    assert peaks[1] < peaks[0] + 30
    assert peaks[1] < 200


def write_part(root: Path, rows: int, row_group: int = log_tables.ROW_GROUP) -> None:
    """A compacted day with a row a microsecond."""
    part = root / f"dt={DAY}" / "part-1"
    part.mkdir(parents=True)
    (part / "part.json").write_text('{"sources":[],"torn":0,"invalid":0}')
    numbers = np.arange(rows)
    times = pa.array(numbers + int(moment(DAY).timestamp()) * 10**6)
    entity = pa.array([bytes.fromhex(key(1))] * rows, pa.binary(16))
    columns = {
        "prediction_id": pa.array(numbers).cast(pa.string()),
        "request_id": pa.array(numbers).cast(pa.string()),
        "ts": times.cast(pa.timestamp("us", "UTC")),
        "risk_score": numbers / rows,
        "risk_label": pa.array(numbers % 2, pa.int8()),
        "entity": entity,
        "period": pa.nulls(rows, pa.int64()),
        "age": numbers,
        "grade": numbers / 8,
        "kind": pa.array(["a", "b"]).take(pa.array(numbers % 2)).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), part / "v1.0.0.parquet", row_group_size=row_group)


def _names(batch: Batch) -> list[str]:
    assert batch.ids is not None
    return batch.ids.prediction_ids


def test_a_folder_and_a_dangling_link_named_like_a_file_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, "2026-03-01", record(1))
    (path.parent / "x.jsonl").mkdir()
    (path.parent / "link.jsonl").symlink_to(tmp_path / "nowhere")
    found = read(tmp_path)
    assert found.prediction_ids == ["p-1"]
