"""A registry in any condition: the champion, the way back and the workers, never an error."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitoring.status import standing
from monitoring.status.facts import Standing, Worker
from monitoring.status.judgement import judge
from registry import heartbeat
from registry.heartbeat import Beat
from registry.state import State
from tests.disks import mounted
from tests.monitoring.status.situations import WELL
from tests.registry.handmade import make_version, promote, rollback
from tests.server import wait_for


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "home")


@pytest.fixture
def moved(state: State) -> State:
    """v1.0.0, v1.1.0 and v1.2.0 promoted, one after the other."""
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        make_version(state, version)
        promote(state, version, reason=f"because {version}")
    return state


def beat(state: State, pid: int, **changes: Any) -> None:
    found = replace(Beat.of_this_process(), pid=pid, version="v1.2.0", generation=3)
    heartbeat.write(state, replace(found, **changes))


def test_a_move_that_was_never_made_is_known(moved: State, tmp_path: Path) -> None:
    for served, never in (
        ((3, "v1.2.0"), False),
        ((1, "v1.0.0"), False),
        ((1, "v1.2.0"), True),
        ((4, "v1.2.0"), True),
    ):
        assert standing.look(moved, served=served).never_had is never, served
    nowhere = State(tmp_path / "nowhere")
    assert standing.look(nowhere, served=(1, "v1.0.0")).never_had
    assert not standing.look(nowhere, served=(0, "v1.0.0")).never_had
    assert not standing.look(moved).never_had


def test_a_full_disk_is_known_and_the_worker_on_it_is_not_stuck(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", megabytes=8) as folder:
        state = State(folder / "home")
        make_version(state, "v1.1.0")
        promote(state, "v1.1.0")
        worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        with worker:
            beat(state, worker.pid, version="v1.1.0", generation=1)
            assert not standing.look(state).full
            with (folder / "ballast").open("wb") as stream:
                disk = os.statvfs(folder)
                os.posix_fallocate(stream.fileno(), 0, disk.f_bavail * disk.f_frsize)
            expired = [False]
            wait_for(lambda: [one.alive for one in standing.look(state).workers] == expired, 10)
            found = standing.look(state)
            worker.communicate(b"\n")
    assert [one.alive for one in found.workers] == [False]
    assert found.full
    first, *others = judge(replace(WELL, standing=found))
    assert "is full: heartbeats cannot be written" in first.sentence
    assert "DatathonWorkerStuck" not in [one.section for one in others]


def test_the_champion_its_way_back_and_its_workers(moved: State) -> None:
    beat(moved, os.getpid(), resident=("v1.1.0", "v1.2.0"))
    beat(moved, os.getppid(), resident=("v1.2.0",), host="elsewhere", problem="no disk")
    found = standing.look(moved)
    assert found.champion is not None
    named = (found.champion.version, found.champion.generation, found.champion.left)
    assert named == ("v1.2.0", 3, "v1.1.0")
    assert (found.champion.action, found.champion.reason) == ("promote", "because v1.2.0")
    assert abs(datetime.now(UTC) - found.champion.since).total_seconds() < 60
    assert found.rollback is not None
    assert (found.rollback.version, found.rollback.resident) == ("v1.1.0", 1)
    assert (found.rollback.registered, found.rollback.further) == (True, ("v1.0.0",))
    away, here = sorted(found.workers, key=lambda worker: worker.problem is None)
    assert (away.problem, away.up_seconds) == ("no disk", None)
    assert here.up_seconds is not None
    assert here.alive


def test_the_way_back_is_the_one_that_a_rollback_takes(moved: State) -> None:
    for expected in ("v1.1.0", "v1.0.0"):
        named = standing.look(moved).rollback
        assert named is not None
        assert named.version == expected == rollback(moved)
    assert standing.look(moved).rollback is None


def test_a_lost_pointer_is_told_and_the_history_stands_in(moved: State) -> None:
    moved.champion.write_text('{"schema": 1')
    damaged = standing.look(moved)
    moved.champion.unlink()
    gone = standing.look(moved)
    for found in (damaged, gone):
        assert found.champion is not None
        assert found.champion.version == "v1.2.0"
        assert judge_sections(found) == ["DatathonDegraded"]
    assert "not a champion pointer" in (damaged.pointer_problem or "")
    assert "is gone" in (gone.pointer_problem or "")


def test_a_champion_that_is_not_in_the_store_is_told(moved: State) -> None:
    assert judge_sections(standing.look(moved)) == []
    (champion,) = moved.models.glob("*/v1.2.0")
    shutil.rmtree(champion)
    found = standing.look(moved)
    assert found.champion is not None
    assert not found.champion.registered
    assert judge_sections(found) == ["DatathonNoChampion"]


def judge_sections(found: Standing) -> list[str | None]:
    return [one.section for one in judge(replace(WELL, standing=found)) if one.severity == "red"]


def test_a_history_that_was_edited_is_told(moved: State) -> None:
    content = moved.history.read_bytes().replace(b"because v1.1.0", b"because of me")
    moved.history.write_bytes(content)
    found = standing.look(moved)
    assert "the chain breaks at generation 3" in (found.history_problem or "")
    assert found.champion is not None
    moved.history.unlink()
    moved.history.mkdir()
    assert "directory" in (standing.look(moved).history_problem or "").lower()


def test_a_worker_that_says_nothing_is_silent_and_a_dead_one_forgotten(state: State) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        beat(state, worker.pid)
        (path,) = state.workers.iterdir()
        os.utime(path, (time.time() - 30, time.time() - 30))
        assert standing.look(state).workers == ()  # written before its process began
        os.utime(path)
        (found,) = standing.look(state).workers
        assert found.alive
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait()
        assert standing.look(state).workers == ()
    # This process is older than three seconds, and says nothing.
    ours = standing_worker_of(os.getppid(), state)
    assert (ours.alive, round(ours.beat_seconds)) == (False, 4)


def standing_worker_of(pid: int, state: State) -> Worker:
    beat(state, pid)
    (path,) = [one for one in state.workers.iterdir() if one.name.endswith(f"-{pid}.json")]
    os.utime(path, (time.time() - 4, time.time() - 4))
    (found,) = standing.look(state).workers
    return found


def test_heartbeats_that_are_none_are_passed_over(state: State) -> None:
    state.workers.mkdir(parents=True)
    for name, text in (("a", ""), ("b", "[]"), ("c", '{"host": 4}'), ("d", "\x00")):
        (state.workers / f"{name}.json").write_text(text)
    assert standing.look(state).workers == ()
