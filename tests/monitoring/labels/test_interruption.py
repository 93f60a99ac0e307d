"""Imports that are ended, that race, or that find no room: all or nothing."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitoring.labels.__main__ import main
from monitoring.labels.store import LabelStore
from tests.monitoring.labels.given import (
    COLUMNS,
    PREDICTIONS,
    snapshot,
    write,
)
from tests.server import PROJECT, environment


def test_a_full_disk_leaves_nothing(home: Path, tmp_path: Path) -> None:
    rows = [[f"{os.urandom(12).hex()}-0", n % 2, "2026-05-01"] for n in range(5000)]
    path = write(tmp_path / "l.csv", COLUMNS, rows)
    before = snapshot(home)
    done = subprocess.run(
        [sys.executable, "-m", "monitoring.labels", "import", str(path)],
        cwd=PROJECT,
        env=environment(home, PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        # Files of 20 kB at most: a write beyond that fails as on a full disk.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert snapshot(home) == before


@pytest.fixture
def large(tmp_path: Path) -> Path:
    rows = [[f"{n:024x}-0", n % 2, "2026-05-01"] for n in range(40_000)]
    return write(tmp_path / "large.csv", COLUMNS, rows)


def started(home: Path, path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "monitoring.labels", "import", str(path), "--json"],
        cwd=PROJECT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_imports_at_once_store_each_label_once(home: Path, large: Path) -> None:
    both = [started(home, large), started(home, large)]
    outs = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sorted(json.loads(out)["new"] for out in outs) == [0, 40_000]
    assert sorted(json.loads(out)["known"] for out in outs) == [0, 40_000]
    assert len(LabelStore(home / "labels").history()) == 40_000


def test_an_import_that_waits_too_long_gives_up_in_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.labels.store._LOCK_SECONDS", 0.2)
    path = write(tmp_path / "l.csv", COLUMNS, [[PREDICTIONS[0], 1, None]])
    (home / "labels").mkdir()
    with (home / "labels/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["import", str(path)]) == 5
    assert capsys.readouterr().err.count("\n") == 1
    assert not list((home / "labels").glob("*.parquet"))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_ended_at_any_moment_leaves_all_or_nothing(
    home: Path, large: Path, blow: signal.Signals
) -> None:
    for wait in (0.7, 1.5):
        running = started(home, large)
        time.sleep(wait)
        os.kill(running.pid, blow)
        _, err = running.communicate(timeout=60)
        assert len(LabelStore(home / "labels").history()) in (0, 40_000)
        if blow == signal.SIGINT and wait > 1.0:
            assert (running.returncode, err) in (
                (130, "stopped; nothing was imported\n"),
                (0, ""),
                (-signal.SIGINT, ""),  # it had finished and was on its way out
            )
    last = started(home, large)
    last.communicate(timeout=60)
    assert last.returncode == 0
    assert len(LabelStore(home / "labels").history()) == 40_000
    left = [path.name for path in (home / "labels").iterdir() if path.suffix != ".parquet"]
    assert left == [".lock"]
