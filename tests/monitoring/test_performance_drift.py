"""The command on a real version, with a log by the log's own writer and labels by their import."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from monitoring import performance_drift
from monitoring.labels import __main__ as labels
from monitoring.log.writing import SECRET_VARIABLE
from monitoring.status import remedies
from registry import moves
from registry.state import State
from tests.artefacts import MODEL, install
from tests.monitoring.labelled import OBSERVED, SECRET, START, Stream, by_id
from tests.monitoring.status.situations import WELL
from tests.runbook import blocks
from tests.server import PROJECT, command, configured, environment, wait_for

SPAN = ("--from", f"{START:%Y-%m-%d}", "--to", f"{START + timedelta(days=27):%Y-%m-%d}")

Document = dict[str, Any]


@pytest.fixture
def state(tiny_artefacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A home with v1.0.0, the champion."""
    found = State(tmp_path / "home")
    install(found, tiny_artefacts, "v1.0.0")
    moves.promote(found, model=MODEL, version="v1.0.0", reason="first")
    monkeypatch.setenv("BENTOML_HOME", str(found.home))
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    return found


@pytest.fixture
def report(state: State, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Document]]:
    """Run the command with --json; its exit code and document."""

    def run(*arguments: str) -> tuple[int, Document]:
        capsys.readouterr()
        code = performance_drift.main([*(arguments or SPAN), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def known(tmp_path: Path, capsys: pytest.CaptureFixture[str], *lines: str) -> Document:
    """Import labels; what the import says."""
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    capsys.readouterr()
    assert labels.main(["import", str(path), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


Report = Callable[..., tuple[int, Document]]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("recall", "code", "status"), [(0.90, 0, "green"), (0.66, 10, "yellow"), (0.40, 20, "red")]
)
def test_recall_has_its_colour_and_exit_code(
    state: State, tmp_path: Path, report: Report, capsys: Capture,
    recall: float, code: int, status: str,
) -> None:  # fmt: skip
    stream = Stream(600, recall=recall)
    ids = stream.log(state)
    known(tmp_path, capsys, *by_id(ids, stream.target.tolist()))
    found_code, found = report()
    assert (found_code, found["status"]) == (code, status)
    assert found["metrics"]["recall"]["value"] == pytest.approx(
        reference.recall_score(stream.target, stream.flags), abs=1e-6
    )
    assert found["metrics"]["f2"]["value"] == pytest.approx(
        reference.fbeta_score(stream.target, stream.flags, beta=2), abs=1e-6
    )
    assert {"kind": "performance", "schema": 1, "model": MODEL}.items() <= found.items()
    assert found["model_version"] == "v1.0.0"
    assert (found["labels"]["predictions"], found["labels"]["labelled"]) == (600, 600)
    assert found["labels"]["due"] == 600
    assert {segment["feature"] for segment in found["segments"]} == {"school"}
    trained = json.loads((state.models / MODEL / "v1.0.0" / "metrics.json").read_bytes())
    assert found["training"] == trained["metrics"]
    assert found["labels"]["base_rate_training"] == trained["positives"] / trained["rows"]


def test_json_and_page_are_kept(state: State, tmp_path: Path, capsys: Capture) -> None:
    stream = Stream(300)
    known(tmp_path, capsys, *by_id(stream.log(state), stream.target.tolist()))
    assert performance_drift.main([*SPAN, "--lang", "pt"]) == 0
    shown = capsys.readouterr().out
    names = sorted(path.name for path in state.reports.iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["html", "json"]
    assert all(name.startswith("performance-v1.0.0-") for name in names)
    assert names[0] in "".join(shown.split())
    document = json.loads((state.reports / names[1]).read_bytes())
    assert document["status"] == "green"


def test_the_calibration_that_a_version_keeps_gives_an_estimate(
    state: State, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    stream = Stream(300)
    ids = stream.log(state)
    code, found = report()
    assert (code, found["status"], found["reason"]) == (3, "inconclusive", "no_labels")
    assert found["estimate"]["rows"] == 300
    assert found["metrics"]["recall"]["value"] is None
    known(tmp_path, capsys, *by_id(ids[:280], stream.target[:280].tolist()))
    _, later = report()
    assert later["estimate"]["rows"] == 280
    guess, real = (later[key]["recall"]["value"] for key in ("metrics", "metrics"))
    assert guess == real
    assert later["estimate_error"]["recall"] == pytest.approx(
        later["estimate"]["metrics"]["recall"]["value"] - real, abs=1e-6
    )


@pytest.mark.parametrize(("delay", "overdue"), [(90, 120), (365, 395)])
def test_an_import_is_overdue_a_month_later_than_labels_are_due(
    state: State, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    delay: int, overdue: int,
) -> None:  # fmt: skip
    path = configured(
        tmp_path,
        performance={"label_delay_days": delay},
        watch={"performance_days": delay + 30},
    )
    monkeypatch.setenv("DATATHON_CONFIGURATION", path)
    Stream(50).log(state)
    assert report()[1]["labels"]["overdue_days"] == overdue


def test_labels_that_are_not_due_yet_are_waited_for(state: State, report: Report) -> None:
    stream = Stream(200)
    stream.days[:] = 119  # yesterday
    stream.log(state)
    code, found = report("--window", "7")
    assert (code, found["reason"], found["next_step"]) == (3, "no_labels", "wait_for_labels")
    assert (found["labels"]["predictions"], found["labels"]["due"]) == (200, 0)
    assert found["labels"]["coverage"] is None


def test_a_revised_label_counts_as_it_is_now(
    state: State, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    stream = Stream(400)
    ids = stream.log(state)
    target = stream.target.tolist()
    first = [1 - y if row < 15 else y for row, y in enumerate(target)]
    known(tmp_path, capsys, *by_id(ids, first))
    known(tmp_path, capsys, *by_id(ids, target, OBSERVED + timedelta(days=5)))
    _, found = report()
    assert found["labels"]["revised"] == 15
    assert found["labels"]["labelled"] == 400
    assert found["metrics"]["recall"]["value"] == pytest.approx(
        reference.recall_score(stream.target, stream.flags), abs=1e-6
    )
    again = known(tmp_path, capsys, *by_id(ids, target, OBSERVED + timedelta(days=5)))
    assert again["new"] == again["revised"] == 0
    assert report()[1]["metrics"] == found["metrics"]


def test_conflicts_duplicates_and_orphans_are_told_and_do_not_count(
    state: State, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    stream = Stream(400)
    ids = stream.log(state)
    target = stream.target.tolist()
    lines = by_id(ids, target)
    lines += [f"{ids[0]},{1 - target[0]},{OBSERVED.isoformat()}", *lines[2:6]]
    lines += [f"gone-{row},1,{OBSERVED.isoformat()}" for row in range(50)]
    known(tmp_path, capsys, *lines)
    code, found = report()
    facts = found["labels"]
    assert (facts["conflicts"], facts["orphans"], facts["labelled"]) == (1, 50, 399)
    doubts = {c["name"]: c["status"] for c in facts["checks"] if c["status"] != "ok"}
    assert doubts == {"conflicts": "warn", "orphans": "warn"}
    assert (code, found["next_step"]) == (0, "watch")


def test_labels_of_one_class_only_are_checked_first(
    state: State, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    stream = Stream(400, recall=0.4)
    ids = stream.log(state)
    positives = [one for one, y in zip(ids, stream.target, strict=True) if y]
    known(tmp_path, capsys, *by_id(positives, [1] * len(positives)))
    code, found = report()
    assert (code, found["reason"], found["next_step"]) == (3, "labels_doubtful", "check_labels")
    assert found["metrics"]["recall"]["value"] == pytest.approx(0.4, abs=0.01)


def test_two_versions_in_one_window_do_not_mix(
    state: State, tiny_artefacts: Path, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    install(state, tiny_artefacts, "v1.1.0")
    good, bad = Stream(400, recall=0.95), Stream(400, recall=0.4, seed=1)
    lines = by_id(good.log(state, name="good"), good.target.tolist())
    lines += by_id(bad.log(state, name="bad", version="v1.1.0"), bad.target.tolist())[1:]
    known(tmp_path, capsys, *lines)
    code, found = report(*SPAN, "--model_version", "v1.1.0")
    assert (code, found["model_version"], found["labels"]["predictions"]) == (20, "v1.1.0", 400)
    assert found["log"]["rows_of_other_versions"] == 400
    assert found["labels"]["orphans"] == 0
    code, found = report()
    assert (code, found["model_version"], found["labels"]["predictions"]) == (0, "v1.0.0", 400)


def test_entities_of_twenty_rows_labelled_by_period(
    state: State, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    """50 entities, 22 of them at risk, 13 of those caught, in all 20 rows alike: 0.59 of 440 rows
    would be confirmed, of 22 pupils it is not."""
    pupils = np.repeat(np.arange(50), 20)
    stream = Stream(1000)
    stream.target = (pupils < 22).astype(int)
    stream.flags = (pupils < 13) | (pupils >= 45)
    stream.days = np.tile(np.arange(20), 50)
    names = [f"pupil {number}" for number in range(50)]
    stream.log(state, entities=[names[pupil] for pupil in pupils], period=2025)
    rows = [f"{name},2025,{int(n < 22)},{OBSERVED.isoformat()}" for n, name in enumerate(names)]
    known(tmp_path, capsys, "entity_id,period,label,observed_at", *rows)
    code, found = report()
    assert found["labels"]["labelled"] == 1000
    assert found["labels"]["positives"] == 440
    recall = found["metrics"]["recall"]
    assert recall["value"] == pytest.approx(13 / 22, abs=1e-6)
    assert recall["high"] - recall["low"] > 0.35
    assert (code, found["reason"]) == (3, "few_positives")


def test_another_period_is_another_row(
    state: State, tmp_path: Path, report: Report, capsys: Capture
) -> None:
    stream = Stream(20)
    stream.log(state, entities=["a"] * 20, period=2025)
    known(tmp_path, capsys, "entity_id,period,label", "a,2024,1")
    code, found = report()
    assert (code, found["reason"], found["labels"]["orphans"]) == (3, "no_labels", 1)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--window", "0"), 2, "expected days above 0"),
        (("--window", "5", "--from", "2026-01-01"), 2, "not both"),
        (("--model_version", "v9.0.0"), 3, "v9.0.0"),
        (("--window", "1"), 3, "no prediction of v1.0.0"),
    ],
)
def test_a_wrong_call_is_one_line(
    state: State, capsys: Capture, arguments: tuple[str, ...], code: int, words: str
) -> None:
    try:
        found = performance_drift.main(list(arguments))
    except SystemExit as stop:
        found = int(stop.code or 0)
    captured = capsys.readouterr()
    assert (found, captured.out) == (code, "")
    last = captured.err.splitlines()[-1]
    assert "error: " in last
    assert words in last
    assert not state.reports.exists()


def test_the_commands_for_whoever_is_paged_give_the_verdict_of_the_alert(
    state: State, report: Report, tmp_path: Path, capsys: Capture
) -> None:
    """Labels are due after months; the alert looks at the background report, which reaches back."""
    stream = Stream(300, recall=0.4)
    stream.days[:] = 20  # 100 days ago
    known(tmp_path, capsys, *by_id(stream.log(state), stream.target.tolist()))
    command(state.home, "monitoring.refresh")
    latest = json.loads((state.latest_reports / "performance.json").read_bytes())
    assert latest["status"] == "red"
    told = {remedies.recall(WELL)} | {
        command.text
        for block in blocks.read(PROJECT / "docs/runbook.md")
        for command in block.commands
        if "performance_drift" in command.text
    }
    for line in told:
        code, document = report(*line.split()[3:])
        assert (code, document["status"]) == (20, "red"), line


def test_the_module_runs_and_writes_a_textfile(
    state: State, tmp_path: Path, capsys: Capture
) -> None:
    stream = Stream(300, recall=0.4)
    known(tmp_path, capsys, *by_id(stream.log(state), stream.target.tolist()))
    metrics = tmp_path / "performance.prom"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "monitoring.performance_drift"),
            *(*SPAN, "--textfile", str(metrics)),
        ],
        cwd=PROJECT, env=environment(state.home), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (20, "")
    assert "recall" in metrics.read_text()


def test_ctrl_c_leaves_nothing_half_made(state: State) -> None:
    Stream(300).log(state)
    pipe = state.inference_log / f"dt={START:%Y-%m-%d}" / "slow.jsonl"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "monitoring.performance_drift", *SPAN],
        cwd=PROJECT, env=environment(state.home), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    writers: list[int] = []
    try:
        wait_for(lambda: _opened(pipe, writers), 60)
        process.send_signal(signal.SIGINT)  # while it waits for the next line
        out, error = process.communicate(timeout=30)
    finally:
        process.kill()
        for handle in writers:
            os.close(handle)
    assert (process.returncode, out) == (130, "")
    assert error.splitlines() == ["stopped; no report was written"]
    assert not state.reports.exists()


def _opened(pipe: Path, writers: list[int]) -> bool:
    """Whether somebody reads from the pipe; then its other end is open too, and nothing comes."""
    try:
        writers.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
