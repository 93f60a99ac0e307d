"""The log's files by themselves: days, refused writes, and reading back what is damaged."""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitoring import window
from monitoring.inference_log import EntityKeys, InferenceLog, ScoredRequest
from monitoring.window import Window
from registry.schema import Feature, Schema
from registry.validation import ValidRow
from tests.server import PROJECT

SCHEMA = Schema((Feature("age", "integer", "years"), Feature("kind", "category", "kind")))
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "prediction_id": f"p-{number}",
        "request_id": "r",
        "ts": "2026-03-01T12:00:00.000000Z",
        "model_version": "v1.0.0",
        "schema": "s",
        "features": {"age": number, "kind": "a"},
        "risk_score": 0.5,
        "risk_label": 1,
        "entity": None,
    } | changes


def write(root: Path, day: str, *records: Any, tail: str = "", name: str = "a") -> None:
    folder = root / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one) if isinstance(one, dict) else one for one in records]
    (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines) + tail)


def read(root: Path, start: str = "2026-03-01", end: str = "2026-03-02") -> Window:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)]
    return window.read(root, SCHEMA, "v1.0.0", *moments)


def test_columns_come_back_in_the_models_types(tmp_path: Path) -> None:
    rows = [{"age": 7, "kind": "a"}, {"age": None, "kind": None}, {"kind": "b"}]
    write(tmp_path, "2026-03-01", *(record(i, features=row) for i, row in enumerate(rows)))
    found = read(tmp_path)
    np.testing.assert_array_equal(found.columns["age"], [7.0, np.nan, np.nan])
    assert found.columns["kind"].tolist() == ["a", None, "b"]
    assert found.scores.tolist() == [0.5] * 3


def test_a_torn_last_line_and_invalid_lines_are_counted_not_fatal(tmp_path: Path) -> None:
    half = json.dumps(record(9))[:40]
    wrong = [record(8, risk_score="0.5"), record(7, entity=["x"])]
    invalid = ["not json", "[]", "{}", *map(json.dumps, wrong), ""]
    write(tmp_path, "2026-03-01", record(1), *invalid, record(2), tail=half)
    found = read(tmp_path)
    assert (found.rows, found.torn, found.invalid) == (2, 1, 6)


def test_the_window_holds_its_start_and_not_its_end(tmp_path: Path) -> None:
    stamps = [
        ("2026-02-28", "2026-02-28T23:59:59.999999Z"),
        ("2026-03-01", "2026-03-01T00:00:00.000000Z"),
        ("2026-03-01", "2026-03-01T23:59:59.999999Z"),
        ("2026-03-02", "2026-03-02T00:00:00.000000Z"),
    ]
    for number, (day, stamp) in enumerate(stamps):
        write(tmp_path, day, record(number, ts=stamp), name=str(number))
    assert sorted(read(tmp_path).columns["age"].tolist()) == [1.0, 2.0]


def test_other_versions_and_repeated_ids_do_not_count(tmp_path: Path) -> None:
    other = record(2, model_version="v1.1.0", features={"age": "of another type there"})
    write(tmp_path, "2026-03-01", record(1), record(1), other)
    found = read(tmp_path)
    assert (found.rows, found.other_versions, found.invalid) == (1, 1, 0)


def test_entities_count_once_and_unknown_ones_each_for_themselves(tmp_path: Path) -> None:
    keys = ["x", "x", "y", None, None]
    write(tmp_path, "2026-03-01", *(record(i, entity=key) for i, key in enumerate(keys)))
    assert read(tmp_path).entities == 4


def test_a_log_that_is_not_there_is_an_empty_window(tmp_path: Path) -> None:
    found = read(tmp_path / "nothing")
    assert (found.rows, found.torn, found.invalid) == (0, 0, 0)


_WRITER = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from monitoring.inference_log import EntityKeys, InferenceLog, LogWriteError, ScoredRequest
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
