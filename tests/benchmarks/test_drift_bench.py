"""`make bench-drift` measures the command and nothing else, on a file that compaction could have
made, and says so in ratios that are taken round by round."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import drift, drift_data, others
from benchmarks.drift_measure import CommandError, Usage, measured
from benchmarks.drift_results import DECODE, OURS, Measurement, ratio, verdict
from benchmarks.errors import BenchmarkError
from benchmarks.ratios import Ratio
from monitoring.log.records import parse
from monitoring.log.tables import ROW_GROUP, PartTable
from registry.state import PROJECT

DAY = date(2026, 11, 21)
KINDS = {name: drift_data.kind_of(name).type for name in drift_data.NAMES}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("log")
    return drift_data.write_log(root, rows=ROW_GROUP + 1_000, day=DAY, schema="0123456789ab")


def test_the_log_has_the_columns_and_types_that_compaction_writes(
    log: Path, tmp_path: Path
) -> None:
    line = {
        "prediction_id": "a-0",
        "request_id": "r",
        "ts": "2026-11-21T00:00:00.000000Z",
        "model_version": "v1.0.0",
        "schema": "0123456789ab",
        "features": dict.fromkeys(KINDS, 1),
        "risk_score": 0.5,
        "risk_label": 1,
        "entity": "0" * 32,
        "period": None,
    }
    record = parse(json.dumps(line).encode())
    assert record is not None
    with PartTable(tmp_path / "v1.0.0.parquet", KINDS) as table:  # type: ignore[arg-type]
        table.add([record])
        table.finish()
    written, ours = pq.ParquetFile(tmp_path / "v1.0.0.parquet"), pq.ParquetFile(log)
    assert ours.schema_arrow.equals(written.schema_arrow)
    assert ours.metadata.row_group(0).num_rows == ROW_GROUP
    for group in (ours.metadata.row_group(0), written.metadata.row_group(0)):
        assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}


def test_the_log_is_one_day_of_distinct_predictions(log: Path) -> None:
    rows = pq.read_table(log).to_pandas()
    assert len(rows) == ROW_GROUP + 1_000
    assert rows["prediction_id"].is_unique
    assert rows["ts"].is_monotonic_increasing
    assert {moment.date() for moment in rows["ts"].iloc[[0, -1]]} == {DAY}
    assert rows["request_id"].value_counts().head(600).eq(drift_data.ROWS_PER_REQUEST).all()
    per_entity = len(rows) / rows["entity"].nunique()
    assert 3 < per_entity < 6
    assert 0.02 < rows["mark_2"].isna().mean() < 0.04


def test_the_same_log_comes_out_again(log: Path, tmp_path: Path) -> None:
    again = drift_data.write_log(tmp_path, rows=ROW_GROUP + 1_000, day=DAY, schema="0123456789ab")
    assert pq.read_table(again).equals(pq.read_table(log))


def test_memory_and_cpu_are_the_commands_own(tmp_path: Path) -> None:
    ours = np.ones(40_000_000)  # 320 MB in this process, which starts the command
    code = "import time\nwhile time.process_time() < 0.5: pass\nblock = b'x' * 100_000_000"
    usage, _ = measured([sys.executable, "-c", code], cwd=tmp_path, environment=os.environ)
    assert len(ours)
    assert 100 < usage.rss_mb < 160
    assert 0.5 <= usage.cpu_seconds < 0.9


def test_a_command_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    code = "import sys; print('no such column', file=sys.stderr); sys.exit(7)"
    with pytest.raises(CommandError, match=r"exit code 7: no such column$"):
        measured([sys.executable, "-c", code], cwd=tmp_path, environment=os.environ)
    usage, output = measured(
        [sys.executable, "-c", "print('made'); exit(20)"],
        cwd=tmp_path,
        environment=os.environ,
        good=(0, 10, 20),
    )
    assert output == "made\n"
    assert usage.seconds > 0


def of(way: str, number: int, cpu: float, *, rows: int = 1000, rss: float = 100.0) -> Measurement:
    return Measurement(rows, number, way, Usage(cpu_seconds=cpu, seconds=cpu, rss_mb=rss))


def test_ratios_compare_within_a_round_and_a_file() -> None:
    # Rounds: 3/1, 8/2, 5/5. The medians of the seconds would say 5/2.
    pairs = [(1, 3.0, 1.0), (2, 8.0, 2.0), (3, 5.0, 5.0)]
    done = [of(OURS, number, ours) for number, ours, _ in pairs]
    done += [of(DECODE, number, decode) for number, _, decode in reversed(pairs)]
    done += [of(OURS, 1, 900.0, rows=7), of(DECODE, 1, 1.0, rows=7)]
    assert ratio(done, OURS, DECODE, rows=1000) == Ratio(median=3.0, low=1.0, high=4.0)


@pytest.mark.parametrize(
    ("rows", "cpu", "judged"),
    [
        (9_999_999, 19.0, ""),
        (10_000_000, 20.0, ": reached"),
        (10_000_000, 20.1, ": NOT reached"),
    ],
)
def test_the_verdict_is_on_the_largest_file_and_on_every_files_memory(
    rows: int, cpu: float, judged: str
) -> None:
    done = [
        *(of(DECODE, 1, 1.0), of(OURS, 1, 9.0, rss=301.0)),
        *(of(DECODE, 1, 10.0, rows=rows), of(OURS, 1, cpu, rows=rows, rss=200.0)),
    ]
    assert verdict(done) == [
        f"CPU at {rows:,} rows: {cpu / 10:.2f} × decode only (at most 2 at 10,000,000{judged})",
        f"peak memory: 301 MB at 1,000, 200 MB at {rows:,} (at most 300: NOT reached)",
    ]


def test_a_missing_environment_is_told_with_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "ENVIRONMENTS", tmp_path)
    (tmp_path / "nannyml").mkdir()
    (tmp_path / "nannyml" / ".ready").touch()
    with pytest.raises(BenchmarkError, match=r"for Evidently; run `make .*/evidently`"):
        others.require((others.NANNYML, others.EVIDENTLY))


@pytest.mark.parametrize("arguments", [["--rows", "0"], ["--rounds", "x"], ["--others-rows", "-1"]])
def test_a_wrong_flag_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        drift.main(arguments)
    assert ended.value.code == 2
    assert "expected a whole number" in capsys.readouterr().err


@pytest.mark.benchmark
def test_it_measures_the_real_report_and_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary, output = tmp_path / "tmp", tmp_path / "drift.json"
    temporary.mkdir()
    done = _run(
        *("--rows", "20000", "--others-rows", "0", "--rounds", "1", "--json", str(output)),
        TMPDIR=str(temporary),
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.glob("datathon-bench-*")) == []
    found = {run["way"]: run for run in json.loads(output.read_text())["measurements"]}
    assert found.keys() == {DECODE, OURS}
    expected = found[OURS]["cpu_seconds"] / found[DECODE]["cpu_seconds"]
    assert f"CPU at 20,000 rows: {expected:.2f} × decode only" in done.stdout


def _run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.drift", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
