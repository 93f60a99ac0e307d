"""The log's files by themselves: days, refused writes, and reading back what is damaged."""

import fcntl
import json
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monitoring.log import files as log_files
from monitoring.log.writing import EntityKeys, InferenceLog, ScoredRequest
from registry.schema import Feature, Schema
from registry.validation import ValidRow
from tests.monitoring.log.log_rows import read, record, write
from tests.server import PROJECT

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def test_columns_come_back_in_the_models_types(tmp_path: Path) -> None:
    rows = [{"age": 7, "kind": "a"}, {"age": None, "kind": None}, {"kind": "b"}]
    write(tmp_path, "2026-03-01", *(record(i, features=row) for i, row in enumerate(rows)))
    found = read(tmp_path)
    assert found.columns == {
        "age": [7.0, None, None],
        "grade": [None] * 3,
        "kind": ["a", None, "b"],
    }
    assert found.scores.tolist() == [0.5] * 3


def test_a_torn_last_line_and_invalid_lines_are_counted_not_fatal(tmp_path: Path) -> None:
    half = json.dumps(record(9))[:40]
    wrong = [
        record(8, risk_score="0.5"),
        record(7, entity=["x"]),
        record(7, entity="maria@example.org"),
        record(7, ts="yesterday"),
        record(7, ts=5),
        record(7, model_version="../../v1"),
        record(7, risk_label=None),
        record(7, period="2026"),
        record(7, features={"age": "seven"}),
        record(7, features={"age": 7.5}),
        record(7, features={"kind": 3}),
        record(7, features={"age": True}),
        record(7, features={"nobody_declared_this": 1}),
        record(7, features={"age": 10**30}),
    ]
    invalid = ["not json", "[]", "{}", "null", *map(json.dumps, wrong), "", "\x00"]
    write(tmp_path, "2026-03-01", record(1), *invalid, record(2), tail=half)
    found = read(tmp_path)
    assert found.prediction_ids == ["p-1", "p-2"]
    assert (found.tallies.torn, found.tallies.invalid) == (1, len(invalid))


def test_a_score_that_is_no_probability_or_a_number_that_is_infinite_makes_an_invalid_line(
    tmp_path: Path,
) -> None:
    scores = ["-0.001", "1.0000001", "2", "-1", "17e300", "1e400", "NaN", "1" + "0" * 400]
    template = json.dumps(record(9, risk_score="HERE"))
    wrong = [template.replace('"HERE"', one) for one in scores]
    template = json.dumps(record(9, features={"grade": "HERE"}))
    wrong += [template.replace('"HERE"', one) for one in ("1e400", "-1e400", "1" + "0" * 400)]
    sound = [record(n, risk_score=one) for n, one in enumerate((0, 1, 0.0, 1.0, 1e-300))]
    write(tmp_path, "2026-03-01", *wrong, *sound)
    found = read(tmp_path)
    assert found.scores.tolist() == [0, 1, 0, 1, 1e-300]
    assert found.tallies.invalid == len(wrong)


def test_the_window_holds_its_start_and_not_its_end(tmp_path: Path) -> None:
    stamps = [
        ("2026-02-28", "2026-02-28T23:59:59.999999Z"),
        ("2026-03-01", "2026-03-01T00:00:00.000000Z"),
        ("2026-03-01", "2026-03-01T23:59:59.999999Z"),
        ("2026-03-02", "2026-03-02T00:00:00.000000Z"),
    ]
    for number, (day, stamp) in enumerate(stamps):
        write(tmp_path, day, record(number, ts=stamp), name=str(number))
    assert read(tmp_path).columns["age"] == [1.0, 2.0]


def test_a_time_without_a_zone_is_utc(tmp_path: Path) -> None:
    write(tmp_path, "2026-03-01", record(1, ts="2026-03-01T00:00:00"))
    assert read(tmp_path).times.tolist() == [int(DAY.timestamp()) * 1_000_000]


def test_other_versions_and_repeated_ids_do_not_count(tmp_path: Path) -> None:
    other = record(2, model_version="v1.1.0", features={"age": "of another type there"})
    write(tmp_path, "2026-03-01", record(1), record(1), other)
    write(tmp_path, "2026-03-01", record(1), record(3), name="b")
    found = read(tmp_path)
    assert found.prediction_ids == ["p-1", "p-3"]
    assert (found.tallies.other_versions, found.tallies.invalid) == (1, 0)


def test_an_id_in_two_files_of_a_day_is_read_once_however_far_apart(tmp_path: Path) -> None:
    """Further than the lines that are parsed at a time; the first one counts."""
    last = record(0, request_id="again")
    folder = write(tmp_path, "2026-03-01", *map(record, range(9_000)), last).parent
    with log_files.changing(tmp_path):
        log_files.seal(folder)
    write(tmp_path, "2026-03-01", *map(record, range(8_990, 9_010)), last, name="b")
    found = read(tmp_path)
    assert sorted(found.prediction_ids) == sorted(f"p-{n}" for n in range(9_010))
    assert "again" not in found.request_ids


def test_an_entity_is_the_first_64_bits_of_its_key_and_nobody_is_0(tmp_path: Path) -> None:
    keys = ["00000000000000ff" + "0" * 16, "ff" * 16, None]
    write(tmp_path, "2026-03-01", *(record(i, entity=one) for i, one in enumerate(keys)))
    found = read(tmp_path)
    assert found.entities.tolist() == [255, 2**64 - 1, 0]
    assert found.entity_keys == keys


def test_a_log_that_is_not_there_is_an_empty_window(tmp_path: Path) -> None:
    found = read(tmp_path / "nothing")
    assert (found.prediction_ids, found.tallies.torn, found.tallies.invalid) == ([], 0, 0)
    assert not (tmp_path / "nothing").exists()


def test_rows_without_a_period_were_written_by_an_older_service(tmp_path: Path) -> None:
    older = {name: value for name, value in record(1).items() if name != "period"}
    write(tmp_path, "2026-03-01", older, record(2, period=2026))
    assert read(tmp_path).periods == [None, 2026]


_WRITER = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from monitoring.log.writing import EntityKeys, InferenceLog, LogWriteError, ScoredRequest
from registry.schema import Feature, Schema
from registry.validation import ValidRow

schema = Schema((Feature("age", "integer", "years"),))
version = SimpleNamespace(version="v1.0.0", schema=schema, schema_digest="s", threshold=0.5)
def rows(first, count):
    numbers = range(first, first + count)
    names = [f"p-{n}" for n in numbers]
    found = [ValidRow((n,), None) for n in numbers]
    return [ScoredRequest("r", names, version, found, [0.5] * count)]
log = InferenceLog(Path(sys.argv[1]), EntityKeys(None))
"""


def run_writer(root: Path, script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _WRITER + script, str(root)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ids(path: Path) -> list[str]:
    return [json.loads(line)["prediction_id"] for line in path.read_text().splitlines()]


def test_a_new_utc_day_opens_a_new_file(tmp_path: Path) -> None:
    run_writer(
        tmp_path,
        """
log.append(rows(0, 2), datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC))
log.append(rows(2, 1), datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC))
""",
    )
    (first,) = (tmp_path / "dt=2026-03-01").iterdir()
    (second,) = (tmp_path / "dt=2026-03-02").iterdir()
    assert (ids(first), ids(second)) == (["p-0", "p-1"], ["p-2"])


def test_a_full_disk_takes_a_batch_whole_or_not_at_all(tmp_path: Path) -> None:
    """A limit on the file's size cuts a write short, as a full disk does."""
    output = run_writer(
        tmp_path,
        """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
now = datetime(2026, 3, 1, tzinfo=UTC)
for first in range(0, 40, 4):
    try:
        log.append(rows(first, 4), now)
        print("taken", first)
    except LogWriteError:
        print("refused", first, log.problem is not None)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(rows(100, 4), now)
print("taken", 100, log.problem)
""",
    )
    words = [line.split() for line in output.splitlines()]
    taken = [int(line[1]) for line in words if line[0] == "taken"]
    assert len(taken) < len(words)
    (path,) = (tmp_path / "dt=2026-03-01").iterdir()
    assert ids(path) == [f"p-{first + k}" for first in taken for k in range(4)]


def rows(first: int, count: int) -> list[ScoredRequest]:
    version: Any = SimpleNamespace(
        version="v1.0.0",
        schema=Schema((Feature("age", "integer", "years"),)),
        schema_digest="s",
        threshold=0.5,
    )
    numbers = range(first, first + count)
    found = [ValidRow((number,), None) for number in numbers]
    return [ScoredRequest("r", [f"p-{n}" for n in numbers], version, found, [0.5] * count)]


def test_a_sealed_file_gets_no_more_rows_and_none_is_lost(tmp_path: Path) -> None:
    log, folder = InferenceLog(tmp_path, EntityKeys(None)), tmp_path / "dt=2026-03-01"
    for first in range(5):
        log.append(rows(first, 1), DAY)
        if first in (1, 3):
            with log_files.changing(tmp_path):
                log_files.seal(folder)
    sealed = [ids(path) for path in sorted(folder.glob("*.sealed"))]
    assert sorted(sealed) == [["p-0", "p-1"], ["p-2", "p-3"]]
    (left,) = log_files.live(folder)
    assert ids(left) == ["p-4"]


def test_an_append_does_not_wait_for_whoever_holds_its_file(tmp_path: Path) -> None:
    log, folder = InferenceLog(tmp_path, EntityKeys(None)), tmp_path / "dt=2026-03-01"
    log.append(rows(0, 1), DAY)
    (path,) = log_files.live(folder)
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        log.append(rows(1, 1), DAY)
    assert read(tmp_path).prediction_ids == ["p-0", "p-1"]
    assert len(log_files.live(folder)) == 2


def test_sealing_again_and_again_under_several_writers_loses_nothing(tmp_path: Path) -> None:
    def append(start: int) -> None:
        log = InferenceLog(tmp_path, EntityKeys(None))
        for first in range(start, start + 300):
            log.append(rows(first, 1), DAY)

    writers = [threading.Thread(target=append, args=(start,)) for start in (0, 1000, 2000)]
    for one in writers:
        one.start()
    folder = tmp_path / "dt=2026-03-01"
    while any(one.is_alive() for one in writers):
        with log_files.changing(tmp_path):
            log_files.seal(folder)
    found = read(tmp_path)
    assert len(found.prediction_ids) == len(set(found.prediction_ids)) == 900
    assert found.tallies.torn == found.tallies.invalid == 0


JSON_TEXT = st.text(max_size=40) | st.just('"},{"prediction_id":"x') | st.just('a\nb\\"}')


@given(texts=st.lists(JSON_TEXT, min_size=1, max_size=6))
def test_whatever_a_text_holds_each_row_is_one_line_of_the_file(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        schema = Schema((Feature("kind", "category", "kind"),))
        version: Any = SimpleNamespace(
            version="v1.0.0", schema=schema, schema_digest="s", threshold=0.5
        )
        rows = [ValidRow((text,), None) for text in texts]
        names = [f"p-{number}" for number in range(len(rows))]
        request = ScoredRequest("r", names, version, rows, [0.5] * len(rows))
        InferenceLog(Path(folder), EntityKeys(None)).append([request], DAY)
        (path,) = Path(folder).glob("dt=2026-03-01/*.jsonl")
        lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    records = [json.loads(line) for line in lines]
    assert [record["features"]["kind"] for record in records] == texts
    assert [record["prediction_id"] for record in records] == names
