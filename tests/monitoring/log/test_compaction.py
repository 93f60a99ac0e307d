"""Compaction: what is written, what is kept aside, what a crash or a full disk leaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.log import compaction
from monitoring.log import files as log_files
from registry.state import State
from tests.monitoring.log.crashes import at_every_step
from tests.monitoring.log.log_rows import DAY, key, read, record, write
from tests.server import PROJECT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return State(tmp_path).inference_log


def run(root: Path, *flags: str, module: str = "monitoring.compact", **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", module, *flags],
        cwd=PROJECT,
        env={**os.environ, "BENTOML_HOME": str(root.parent), **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def forever(tmp_path: Path) -> dict[str, str]:
    """A configuration that keeps the days of these tests, however late they run."""
    return {"DATATHON_CONFIGURATION": str(configured(tmp_path, 36_500))}


def configured(folder: Path, days: int) -> Path:
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    path = folder / f"keep-{days}.yaml"
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if line.strip().startswith("retention_days")), -1)
    if at >= 0:
        lines[at] = f"  retention_days: {days}"
    else:
        lines += ["log:", f"  retention_days: {days}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tables(root: Path) -> dict[str, pa.Table]:
    """The compacted rows of each version, by Arrow's own reader."""
    found: dict[str, list[pa.Table]] = {}
    for path in sorted(root.glob("dt=*/part-*/*.parquet")):
        found.setdefault(path.stem, []).append(pq.read_table(path))
    return {version: pa.concat_tables(parts) for version, parts in found.items()}


def test_a_day_becomes_a_file_for_each_version(root: Path, forever: dict[str, str]) -> None:
    other = record(3, model_version="v1.1.0", features={"height": 1.5, "wide": None})
    stamp = "2026-03-01T12:00:00.123456Z"
    first = record(1, entity=key(7), period=2026, ts=stamp, features={"age": 7, "kind": "a"})
    write(root, DAY, first, record(2, features={"age": None, "kind": None}), other)
    done = run(root, **forever)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2026-03-01: 3 row(s) (v1.0.0 2, v1.1.0 1) from 1 file(s)")
    found = tables(root)
    assert found["v1.1.0"].column("height").to_pylist() == [1.5]
    table = found["v1.0.0"]
    assert table.schema.field("age").type == pa.int64()
    assert table.schema.field("ts").type == pa.timestamp("us", tz="UTC")
    assert pa.types.is_dictionary(table.schema.field("kind").type)
    row = table.to_pylist()[0]
    assert row == {
        "prediction_id": "p-1",
        "request_id": "r-1",
        "ts": datetime.fromisoformat(stamp),
        "model_version": "v1.0.0",
        "schema": "s",
        "risk_score": 0.5,
        "risk_label": 1,
        "entity": bytes.fromhex(key(7)),
        "period": 2026,
        "age": 7,
        "kind": "a",
    }
    assert table.column("age").to_pylist() == [7, None]
    (path,) = root.glob("dt=*/part-*/v1.0.0.parquet")
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert sorted(one.name for one in path.parent.parent.iterdir()) == [path.parent.name]


def test_types_are_those_of_the_stored_version(
    root: Path, registered: Path, forever: dict[str, str]
) -> None:
    """The schema of v1.0.0 says what its first rows do not show."""
    (root.parent / "models").symlink_to(registered / "models")
    schema = json.loads(next(registered.glob("models/*/v1.0.0/schema.json")).read_text())
    kinds = {one["name"]: one["type"] for one in schema["features"]}
    write(root, DAY, record(1, features={}))
    assert run(root, **forever).returncode == 0
    types = {field.name: field.type for field in tables(root)["v1.0.0"].schema}
    arrow = {"number": pa.float64(), "integer": pa.int64()}
    wanted = {name: arrow.get(kind) for name, kind in kinds.items()}
    assert set(kinds) <= set(types)
    assert {name for name, kind in wanted.items() if kind not in (None, types[name])} == set()
    assert all(pa.types.is_dictionary(types[name]) for name, kind in wanted.items() if not kind)


def test_a_feature_may_have_the_name_of_a_column_of_the_log(
    root: Path, forever: dict[str, str]
) -> None:
    write(root, DAY, record(1, features={"period": 3.5, "age": 1}, period=2026))
    assert run(root, **forever).returncode == 0
    (row,) = tables(root)["v1.0.0"].to_pylist()
    assert (row["period"], row["feature:period"]) == (2026, 3.5)


def test_compacting_again_adds_what_is_new_and_no_row_twice(
    root: Path, forever: dict[str, str]
) -> None:
    write(root, DAY, record(1), record(2), record(2))
    assert "1 duplicate(s)" in run(root, **forever).stdout
    (first,) = root.glob("dt=*/part-*/*.parquet")
    before = first.read_bytes()
    write(root, DAY, record(2), record(3), name="b")
    assert "1 row(s) (v1.0.0 1)" in run(root, **forever).stdout
    assert first.read_bytes() == before
    assert sorted(tables(root)["v1.0.0"].column("prediction_id").to_pylist()) == [
        "p-1",
        "p-2",
        "p-3",
    ]
    again = run(root, **forever)
    assert (again.returncode, again.stdout) == (0, "nothing to compact\n")


def test_lines_that_cannot_be_used_are_kept_aside_and_still_counted(
    root: Path, forever: dict[str, str]
) -> None:
    kinds = [record(n) for n in range(3)]
    odd = record(9, features={"age": "nine", "grade": 1.0, "kind": "a"})
    write(root, DAY, *kinds, "not json", odd, tail='{"prediction_id":"p-5"')
    before = read(root).tallies
    assert "1 torn and 2 invalid line(s) kept aside" in run(root, **forever).stdout
    (aside,) = root.glob("dt=*/part-*/unusable.jsonl")
    lines = aside.read_text().splitlines()
    assert lines == ["not json", json.dumps(odd), '{"prediction_id":"p-5"']
    assert read(root).tallies == before


def test_a_whole_number_that_no_float_holds_exactly_is_stored_as_the_nearest(
    root: Path, forever: dict[str, str]
) -> None:
    large = (2**53 + 1, -(2**53) - 1, 2**63 + 1, 2**64 - 1)
    write(root, DAY, *(record(n, features={"grade": one}) for n, one in enumerate(large)))
    write(root, DAY, *(record(n) for n in range(4, 10)), name="b")
    before = read(root)
    done = run(root, **forever)
    assert (done.returncode, done.stderr) == (0, "")
    assert tables(root)["v1.0.0"].column("grade").to_pylist()[:4] == [float(one) for one in large]
    assert read(root).columns == before.columns


def test_days_that_fail_are_told_and_the_others_go_on(root: Path, forever: dict[str, str]) -> None:
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        write(root, day, record(int(day[-1]), ts=f"{day}T12:00:00Z"))
    (root / "dt=2026-03-01" / "a-folder.0.sealed").mkdir()
    done = run(root, "--json", **forever)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 2026-03-01: ")
    assert "a-folder.0.sealed" in done.stderr
    assert done.stderr.count("\n") == 1
    told = json.loads(done.stdout)
    assert [one["day"] for one in told["days"]] == ["2026-03-02", "2026-03-03"]
    assert [one["day"] for one in told["failed_days"]] == ["2026-03-01"]
    assert tables(root)["v1.0.0"].column("prediction_id").to_pylist() == ["p-2", "p-3"]
    write(root, "2026-03-03", record(4, ts="2026-03-03T13:00:00Z"))
    (facts,) = root.glob("dt=2026-03-02/part-*/part.json")
    facts.write_text('{"sources":[],"torn":"x","invalid":0}')
    for dry_run in (["--dry-run"], []):
        done = run(root, *dry_run, **forever)
        assert done.returncode == 6
        assert f"error: 2026-03-02: {facts}: unreadable" in done.stderr
        assert done.stderr.count("\n") == 2 - len(dry_run)
        assert "2026-03-03: 1 " in done.stdout
    assert "p-4" in tables(root)["v1.0.0"].column("prediction_id").to_pylist()


def test_what_compaction_writes_is_as_private_as_the_lines_were(
    root: Path, forever: dict[str, str]
) -> None:
    write(root, DAY, record(1), record(2, model_version="v1.1.0"), "not json")
    mask = os.umask(0)
    try:
        assert run(root, **forever).returncode == 0
    finally:
        os.umask(mask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in root.glob("dt=*/part-*/*")}
    names = ("v1.0.0.parquet", "v1.1.0.parquet", "unusable.jsonl", "part.json")
    assert modes == dict.fromkeys(names, 0o640)


def test_today_is_left_alone_unless_asked_for(root: Path) -> None:
    today = datetime.now(UTC)
    stamp = today.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    path = write(root, str(today.date()), record(1, ts=stamp))
    assert run(root).stdout == "nothing to compact\n"
    assert path.exists()
    done = run(root, "--include_today", "--json")
    assert json.loads(done.stdout)["days"][0]["rows"] == 1
    assert not path.exists()


def test_days_past_retention_go_whole_and_the_limit_stays(root: Path, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    days = {age: str(today - timedelta(days=age)) for age in (29, 30, 31, 400)}
    for age, day in days.items():
        write(root, day, record(age, ts=f"{day}T00:00:00Z"))
    settings = {"DATATHON_CONFIGURATION": str(configured(tmp_path, 30))}
    dry = run(root, "--dry-run", "--json", **settings)
    assert json.loads(dry.stdout)["removed_days"] == [days[400], days[31]]
    assert len(list(root.glob("dt=*/*.jsonl"))) == 4
    assert f"{days[31]}: removed, older than 30 days" in run(root, **settings).stdout
    assert sorted(path.name for path in root.glob("dt=*")) == [f"dt={days[30]}", f"dt={days[29]}"]
    assert [path for path in root.iterdir() if path.suffix == ".tmp"] == []


def test_a_dry_run_changes_nothing(root: Path, forever: dict[str, str]) -> None:
    path = write(root, DAY, record(1))
    done = run(root, "--dry-run", **forever)
    assert done.returncode == 0
    assert done.stdout.startswith("2026-03-01: 1 file(s)")
    assert [one.name for one in path.parent.iterdir()] == ["a.jsonl"]


def test_a_second_compaction_or_forget_says_who_is_at_work(
    root: Path, forever: dict[str, str]
) -> None:
    write(root, DAY, record(1))
    with log_files.maintenance(root):
        second = run(root, **forever)
        third = run(
            *(root, "--entity", "x"), module="monitoring.forget", DATATHON_ENTITY_SECRET="s"
        )
    for done in (second, third):
        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr.startswith("error: ")
        assert "another compaction or forget is running" in done.stderr
        assert done.stderr.count("\n") == 1
    assert run(root, **forever).returncode == 0


def test_no_log_yet_is_nothing_to_do(root: Path) -> None:
    done = run(root)
    assert (done.returncode, done.stdout) == (0, "nothing to compact\n")
    assert not root.exists()


def test_ctrl_c_leaves_nothing_half_made(root: Path, forever: dict[str, str]) -> None:
    """Interrupted while it writes: the lines are a pipe that stalls after the first of them."""
    folder = write(root, DAY, *map(record, range(20_000))).parent
    process = subprocess.Popen(
        [sys.executable, "-m", "monitoring.compact"],
        cwd=PROJECT,
        env={**os.environ, "BENTOML_HOME": str(root.parent), **forever},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in waiting(process):
        if list(folder.glob(".*.tmp/*.parquet")):
            break
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.count("\n")) == (130, 1)
    assert [path.suffix for path in folder.iterdir()] == [".sealed"]
    assert len(read(root).prediction_ids) == 20_000


def test_killed_anywhere_every_row_is_in_the_log_once(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two versions and an unusable line in two files, beside an older part."""
    state = State(root.parent)
    write(root, DAY, *map(record, range(4)))
    compact(state)
    write(root, DAY, *map(record, range(4, 8)), "not json", name="b")
    write(root, DAY, record(9, model_version="v1.1.0"), record(8), name="c")
    imports = (
        "from datetime import date\nfrom monitoring.log import compaction, files as log_files\n"
        "from registry.state import State"
    )
    call = (
        "with log_files.maintenance(State(home).inference_log): "
        "compaction.compact_day(State(home).inference_log, date(2026, 3, 1), "
        "state=State(home), progress=lambda size: None)"
    )
    target = tmp_path_factory.mktemp("killed") / "at"
    copies = at_every_step(root.parent, target, imports=imports, call=call)
    assert len(copies) > 15
    for copy in copies:
        log = State(copy).inference_log
        for _ in range(2):
            found = read(log)
            assert found.prediction_ids == [f"p-{n}" for n in range(9)], copy
            assert (found.tallies.invalid, found.tallies.other_versions) == (1, 1), copy
            compact(State(copy))
        assert sorted(path.name[:5] for path in (log / f"dt={DAY}").iterdir()) == ["part-"] * 2


def compact(state: State) -> None:
    with log_files.maintenance(state.inference_log):
        compaction.compact_day(
            state.inference_log, date.fromisoformat(DAY), state=state, progress=lambda _: None
        )


def waiting(process: "subprocess.Popen[str]") -> Iterator[None]:
    while process.poll() is None:
        yield


_MEASURE = """
import re, sys
from datetime import date
from pathlib import Path
from monitoring.log import compaction
from monitoring.log import files as log_files
from registry.state import State
state = State(Path(sys.argv[1]))
with log_files.maintenance(state.inference_log):
    day = date(2026, 3, 1)
    done = compaction.compact_day(state.inference_log, day, state=state, progress=lambda size: None)
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)
print(done.rows, int(peak) // 1024)
"""


@pytest.mark.slow
def test_a_day_of_many_rows_takes_bounded_memory(root: Path) -> None:
    """Five times the rows, hardly more memory: 16 bytes a row. From one row group on."""
    peaks = []
    for rows in (70_000, 210_000):
        features = {f"f{n}": n / 7 for n in range(20)}
        home = root.parent / str(rows)
        folder = State(home).inference_log / f"dt={DAY}"
        folder.mkdir(parents=True)
        line = json.dumps(record(0, features=features))
        with (folder / "a.jsonl").open("w") as stream:
            for number in range(rows):
                stream.write(line.replace("p-0", f"p-{number}") + "\n")
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(home)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        counted, peak = map(int, done.stdout.split())
        assert counted == rows
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 60
    assert peaks[1] < 300
