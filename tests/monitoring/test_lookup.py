"""Looking rows up: the same rows from lines and from Parquet, whatever the ids and values are."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitoring.log.writing import EntityKeys, InferenceLog, ScoredRequest
from registry.schema import Feature, Schema
from registry.state import State
from registry.validation import ValidRow
from tests.monitoring.log.log_rows import DAY, record, write
from tests.server import PROJECT, command, environment

SECRET = "a secret of these tests"
KEYS = EntityKeys(SECRET)
ODD = "\x1b[31mred\x9b2J\x7f \u202e[bold]x[/bold] :smile: ação"
SCHEMA = Schema(
    (
        Feature("age", "integer", "years"),
        Feature("grade", "number", "0 to 10"),
        Feature("ts", "category", "named like a column of the log"),
        Feature("kind", "category", "kind"),
    )
)
VALUES = [(number, number / 8 or None, f"t{number}", ODD) for number in range(12)]
UNKNOWN = {"label": None, "observed_at": None}
TODAY, BEFORE = datetime(2026, 3, 2, 9, 30, 0, 5, UTC), datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def append(home: Path, request: str, ids: list[str], now: datetime) -> list[dict[str, Any]]:
    """Log a request as a service process of its own does; what its rows must look like."""
    version: Any = SimpleNamespace(
        version="v1.0.0", schema=SCHEMA, schema_digest="s", threshold=0.5
    )
    people = ["maria" if number % 2 else None for number in range(len(ids))]
    rows = [
        ValidRow(values, who, 2026 if who else None)
        for values, who in zip(VALUES, people, strict=False)
    ]
    scores = [number / 20 for number in range(len(ids))]
    log = InferenceLog(State(home).inference_log, KEYS)
    log.append([ScoredRequest(request, ids, version, rows, scores)], now)
    return [
        {
            "prediction_id": ids[number],
            "request_id": request,
            "ts": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "model_version": "v1.0.0",
            "schema": "s",
            "features": dict(zip(SCHEMA.names, VALUES[number], strict=True)),
            "risk_score": number / 20,
            "risk_label": int(number >= 10),
            "entity": KEYS.key("maria") if number % 2 else None,
            "period": 2026 if number % 2 else None,
            **UNKNOWN,
        }
        for number in range(len(ids))
    ]


def lookup(home: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    return command(home, "monitoring.lookup", *flags, check=False, PYTHONUTF8="1")


def rows(home: Path, *flags: str) -> list[dict[str, Any]]:
    done = lookup(home, *flags, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compact(home: Path) -> None:
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    lines = [
        "  retention_days: 36500" if "retention_days" in line else line
        for line in text.splitlines()
    ]
    path = home / "configuration.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    flags = ("monitoring.compact", "--include-today")
    command(home, *flags, DATATHON_CONFIGURATION=str(path))
    assert not list(State(home).inference_log.rglob("*.sealed"))
    assert not list(State(home).inference_log.rglob("dt=*/*.jsonl"))


def test_the_answer_is_the_same_before_and_after_a_compaction(tmp_path: Path) -> None:
    ids = [f"a-{number}" for number in range(12)]
    new = append(tmp_path, "r", ids, TODAY)
    old = append(tmp_path, "r", ["b-0", "b-1"], BEFORE)
    append(tmp_path, "r2", ["a-12"], TODAY)
    odd = append(tmp_path, 'say "é" \\', ['p "é" \\'], TODAY)
    asked: list[tuple[tuple[str, ...], list[dict[str, Any]]]] = [
        (("--request_id", "r"), new + old),
        (("--request-id", "r", "--day", "2026-03-01"), old),
        (("--prediction_id", "a-1"), new[1:2]),
        (("--request_id", 'say "é" \\'), odd),
        (("--prediction_id", 'p "é" \\'), odd),
    ]
    before = [rows(tmp_path, *flags) for flags, _ in asked]
    assert before == [expected for _, expected in asked]
    shown = lookup(tmp_path, "--request_id", "r").stdout
    compact(tmp_path)
    assert [rows(tmp_path, *flags) for flags, _ in asked] == before
    assert lookup(tmp_path, "--request_id", "r").stdout == shown


def test_a_row_that_came_again_is_there_once(tmp_path: Path) -> None:
    """In a part and in the lines that came after it."""
    first = append(tmp_path, "r", ["a-0"], TODAY)
    compact(tmp_path)
    append(tmp_path, "r", ["a-0"], TODAY)
    assert rows(tmp_path, "--request_id", "r") == first


def test_lines_by_another_hand_are_read_as_json(tmp_path: Path) -> None:
    """An escaped id, an older line without a period, a torn one, and one that is no record."""
    root = State(tmp_path).inference_log
    older = {name: value for name, value in record(1).items() if name != "period"}
    escaped = json.dumps(older).replace('"p-1"', '"\\u0070-1"')
    write(root, DAY, "p-1", '{"prediction_id": "p-1"}', escaped, tail='{"prediction_id": "p-1", ')
    assert rows(tmp_path, "--prediction_id", "p-1") == [record(1) | UNKNOWN]


def test_each_row_has_the_label_that_counts_for_it(tmp_path: Path) -> None:
    """By its id before entity and period, which follows from the time where none was sent."""
    append(tmp_path, "r", ["a-0", "a-1", "a-2", "a-3", "a-4"], TODAY)
    write(
        State(tmp_path).inference_log, DAY, record(9, request_id="r", entity=KEYS.key("joao")),
        name="other",
    )  # fmt: skip
    path = tmp_path / "labels.csv"
    for lines in (
        "a-1,,,0,2026-03-03\n,maria,2026,1,2026-03-04\n,joao,2026,0,2026-03-06\n,joao,2025,1,",
        "a-0,,,0,2026-03-03\na-2,,,0,2026-03-05\na-2,,,1,2026-03-05",
        "a-0,,,1,2026-03-04T10:00:00.5Z",
    ):
        path.write_text(f"prediction_id,entity_id,period,label,observed_at\n{lines}\n")
        command(tmp_path, "monitoring.labels", "import", path, DATATHON_ENTITY_SECRET=SECRET)
    expected = {
        "a-0": (1, "2026-03-04T10:00:00.500000Z", None),
        "a-1": (0, "2026-03-03T00:00:00.000000Z", None),
        "a-2": (None, None, True),
        "a-3": (1, "2026-03-04T00:00:00.000000Z", None),
        "a-4": (None, None, None),
        "p-9": (0, "2026-03-06T00:00:00.000000Z", None),
    }
    for _ in range(2):
        told = {
            row["prediction_id"]: (row["label"], row["observed_at"], row.get("conflict"))
            for row in rows(tmp_path, "--request_id", "r")
        }
        assert told == expected
        shown = lookup(tmp_path, "--request_id", "r").stdout
        assert shown.count("label 1  observed_at 2026-03-04T10:00:00.500000Z\n") == 1
        assert shown.count("label none  observed_at none\n") == 1
        assert shown.count("label none  observed_at none  conflict True\n") == 1
        compact(tmp_path)


def test_tables_show_every_value_and_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    append(tmp_path, "r\x1b]0;title\x07", ["a-0", "a-1"], TODAY)
    shown = lookup(tmp_path, "--request_id", "r\x1b]0;title\x07").stdout
    plain = shown.replace("\n", "")
    assert all(one.isprintable() for one in plain)
    assert plain.count("prediction_id") == 2
    assert "request_id r\\x1b]0;title\\x07" in shown
    assert "2026-03-02T09:30:00.000005Z" in shown
    assert f"entity {KEYS.key('maria')}" in shown
    assert "[bold]x[/bold] :smile: ação" in shown
    cells = [tuple(line.split()) for line in shown.splitlines()]
    for cell in [("age", "0"), ("age", "1"), ("grade", "null"), ("grade", "0.125"), ("ts", '"t1"')]:
        assert cells.count(cell) == 1
    as_json = lookup(tmp_path, "--prediction_id", "a-0", "--json").stdout
    assert all(one.isprintable() for one in as_json.replace("\n", ""))


@pytest.mark.parametrize(
    ("flags", "where"),
    [
        (["--request_id", "a-0"], "(2 day(s), 2026-03-01 to 2026-03-02)"),
        (["--prediction_id", "r"], "(2 day(s), 2026-03-01 to 2026-03-02)"),
        (["--prediction_id", "a-0", "--day", "2026-03-01"], "(2026-03-01)"),
        (["--prediction_id", "a-0", "--day", "2026-03-09"], "2026-03-09, a day without a folder"),
        (["--prediction_id", "\x1b[2J", "--json"], "prediction_id \\x1b[2J under"),
    ],
)
def test_nothing_found_is_one_line_that_says_where_it_looked(
    tmp_path: Path, flags: list[str], where: str
) -> None:
    append(tmp_path, "r", ["a-0"], TODAY)
    append(tmp_path, "r", ["b-0"], BEFORE)
    done = lookup(tmp_path, *flags)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert str(State(tmp_path).inference_log) in done.stderr
    assert where in done.stderr


def test_without_a_log_nothing_is_found_and_nothing_made(tmp_path: Path) -> None:
    done = lookup(tmp_path, "--request_id", "r")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "no day" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "one of the arguments"),
        (["--request_id", "r", "--prediction_id", "p"], "not allowed with"),
        (["--request_id", ""], "expected an id"),
        (["--prediction_id", "  "], "expected an id"),
        (["--request_id", "\udcff"], "UTF-8"),
        (["--request_id", "r", "--day", "20260301"], "expected a day"),
        (["--request_id", "r", "--day", "2026-02-30"], "expected a day"),
    ],
)
def test_a_wrong_call_ends_with_2(tmp_path: Path, flags: list[str], words: str) -> None:
    done = lookup(tmp_path, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    append(tmp_path, "r", ["a-0"], TODAY)
    compact(tmp_path)
    (path,) = State(tmp_path).inference_log.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    done = lookup(tmp_path, "--request_id", "r")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("labels", 6, "torn.parquet cannot be read"),
        ("configuration", 2, "poll_ms"),
    ],
)
def test_rows_are_shown_without_labels_where_those_cannot_be_had(
    tmp_path: Path, fault: str, code: int, words: str
) -> None:
    expected = append(tmp_path, "r", ["a-0", "a-1"], TODAY)
    expected += append(tmp_path, "r", ["b-0"], BEFORE)
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    if fault == "labels":
        State(tmp_path).labels.mkdir()
        (State(tmp_path).labels / "torn.parquet").write_bytes(b"PAR1")
    else:
        text = text.replace("poll_ms", "pol_ms")
    path = tmp_path / "configuration.yaml"
    path.write_text(text, encoding="utf-8")
    flags = ("monitoring.lookup", "--request_id", "r", "--json")
    done = command(tmp_path, *flags, check=False, DATATHON_CONFIGURATION=str(path))
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    """The older day's file is a pipe that nobody writes into."""
    append(tmp_path, "r", ["a-0"], TODAY)
    (State(tmp_path).inference_log / "dt=2026-03-01").mkdir()
    os.mkfifo(State(tmp_path).inference_log / "dt=2026-03-01" / "slow.jsonl")
    process = subprocess.Popen(
        [sys.executable, "-m", "monitoring.lookup", "--request_id", "r", "--json"],
        cwd=PROJECT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["prediction_id"] == "a-0"
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert error == "stopped; there may be more rows\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    for number in range(300):
        append(tmp_path, "r", [f"{number}-{row}" for row in range(12)], TODAY)
    process = subprocess.Popen(
        [sys.executable, "-m", "monitoring.lookup", "--request_id", "r", "--json"],
        cwd=PROJECT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()
