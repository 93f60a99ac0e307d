"""Who is alive, by files that real processes leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from registry import heartbeat
from registry.heartbeat import Beat, Prepared, Workers
from registry.processes import up_seconds
from registry.state import State
from tests.server import wait_for


def aged(state: State, beat: Beat, seconds: float) -> None:
    """A heartbeat that was written so long ago."""
    heartbeat.write(state, beat)
    path = max(state.workers.iterdir(), key=lambda one: one.stat().st_mtime_ns)
    then = time.time() - seconds
    os.utime(path, (then, then))


@contextmanager
def sleeping(program: str | Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that does nothing, and is gone afterwards whatever happened."""
    with subprocess.Popen([program, "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def own() -> Beat:
    return replace(Beat.of_this_process(), version="v1.0.0", generation=3, resident=("v1.0.0",))


def test_a_beat_is_read_as_it_was_written(state: State, own: Beat) -> None:
    beat = replace(own, prepared=Prepared("a1", "no such file", 0.2), challenger="v1.1.0")
    heartbeat.write(state, beat)
    assert Workers(state).alive() == [beat]
    heartbeat.write(state, replace(beat, generation=4))
    assert [found.generation for found in Workers(state).alive()] == [4]
    heartbeat.remove(state, beat)
    assert Workers(state).alive() == []
    assert list(state.workers.iterdir()) == []


def test_who_was_silent_for_three_seconds_is_dead(state: State, own: Beat) -> None:
    elsewhere = replace(own, host="other-host")
    aged(state, elsewhere, 2.0)
    assert Workers(state).alive() == [elsewhere]
    aged(state, elsewhere, 3.5)
    assert Workers(state).alive() == []


def test_a_process_of_this_host_that_ended_is_dead_at_once(state: State, own: Beat) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    heartbeat.write(state, replace(own, pid=ended.pid))
    assert Workers(state).alive() == []
    # The same number says nothing on another host, or among another container's processes.
    for other in (replace(own, host="other"), replace(own, namespace="pid:[1]")):
        heartbeat.write(state, replace(other, pid=ended.pid))
    assert len(Workers(state).alive()) == 2


def test_a_killed_process_is_dead_though_its_parent_has_not_noticed(
    state: State, own: Beat
) -> None:
    with sleeping("sleep") as killed:
        beat = replace(own, pid=killed.pid)
        heartbeat.write(state, beat)
        assert Workers(state).alive() == [beat]
        killed.kill()
        wait_for(lambda: Workers(state).alive() == [], 2)
        assert Path(f"/proc/{killed.pid}").exists()
        aged(state, beat, 3.5)
        assert Workers(state).silent() == []


def test_a_stopped_process_has_not_ended_whatever_it_is_called(
    state: State, own: Beat, tmp_path: Path
) -> None:
    odd = tmp_path / "a) Z 1"
    odd.symlink_to("/bin/sleep")
    with sleeping(odd) as process:
        process.send_signal(signal.SIGSTOP)
        beat = replace(own, pid=process.pid)
        heartbeat.write(state, beat)
        assert Workers(state).alive() == [beat]
        assert Workers(state).ended() == []


def test_a_process_that_was_given_a_dead_workers_number_is_not_that_worker(
    state: State, own: Beat
) -> None:
    with sleeping("sleep") as process:
        beat = replace(own, pid=process.pid)
        aged(state, beat, 30.0)
        workers = Workers(state)
        assert (workers.alive(), workers.silent(), workers.ended()) == ([], [], [beat])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"host": 3}', b"\xff", b"[" * 99_999]
)
def test_what_is_no_heartbeat_is_passed_over(state: State, own: Beat, content: bytes) -> None:
    heartbeat.write(state, own)
    (state.workers / "other.json").write_bytes(content)
    assert Workers(state).alive() == [own]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", 3),
        ("namespace", None),
        ("pid", "7"),
        ("pid", True),
        ("pid", -1),
        ("pid", 10**400),
        ("version", ["v1.0.0"]),
        ("generation", "7"),
        ("generation", 1.5),
        ("resident", "v1.0.0"),
        ("resident", [1]),
        ("prepared", "a1"),
        ("prepared", {"id": "a1"}),
        ("prepared", {"id": "a1", "problem": 3, "seconds": 0.1}),
        ("prepared", {"id": "a1", "problem": None, "seconds": "0.1"}),
        ("challenger", 1),
        ("problem", {}),
    ],
)
def test_a_beat_with_one_wrong_type_is_none_and_no_command_stumbles(
    state: State, own: Beat, name: str, value: object
) -> None:
    heartbeat.write(state, own)
    wrong = asdict(replace(own, pid=1, prepared=Prepared("a1", None, 0.1))) | {name: value}
    (state.workers / "other.json").write_text(json.dumps(wrong))
    assert Workers(state).alive() == [own]


def test_a_beat_of_a_later_release_is_read(state: State, own: Beat) -> None:
    state.workers.mkdir(parents=True)
    (state.workers / "one.json").write_text(json.dumps(asdict(own) | {"mood": "good"}))
    assert Workers(state).alive() == [own]


def test_who_fell_silent_and_has_not_ended_is_known(state: State, own: Beat) -> None:
    aged(state, own, 3.5)
    assert Workers(state).silent() == [own]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    aged(state, replace(own, pid=ended.pid), 3.5)
    assert Workers(state).silent() == [own]
    heartbeat.write(state, own)
    assert Workers(state).silent() == []


def test_the_file_systems_clock_counts_and_not_the_hosts(
    state: State, own: Beat, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat.write(state, own)
    state.registry.mkdir(exist_ok=True)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a host whose clock was never set
    assert Workers(state).alive() == [own]


def test_waiting_ends_when_all_are_ready_and_names_who_is_not(state: State, own: Beat) -> None:
    heartbeat.write(state, own)
    workers = Workers(state)
    assert workers.missing(lambda beat: beat.generation == 3, 5) == []
    began = time.monotonic()
    assert workers.missing(lambda beat: beat.generation == 4, 0.2) == [own]
    assert 0.2 <= time.monotonic() - began < 2
    aged(state, own, 2.9)  # and expires while somebody waits for it
    assert workers.missing(lambda beat: beat.generation == 4, 5) == []


def test_what_killed_workers_left_is_swept_and_one_that_hangs_stays_known(
    state: State, own: Beat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_FORGOTTEN_SECONDS", 4.0)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with sleeping("sleep") as process:
        hanging, elsewhere = replace(own, pid=process.pid), replace(own, host="other-host")
        wait_for(lambda: (up_seconds(process.pid) or 0.0) > 4.0, 10)  # it ran when it last beat
        for beat in (replace(own, pid=ended.pid), hanging, elsewhere):
            aged(state, beat, 4.5)
        heartbeat.write(state, own)
        heartbeat.sweep(state, time.time())
        left = {json.loads(path.read_bytes())["pid"] for path in state.workers.iterdir()}
        assert left == {own.pid, hanging.pid}
        assert Workers(state).silent() == [hanging]


def test_who_ended_without_taking_its_heartbeat_away_is_known(state: State, own: Beat) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    crashed = replace(own, pid=ended.pid)
    for beat in (own, crashed, replace(own, pid=ended.pid, host="other-host")):
        heartbeat.write(state, beat)
    assert Workers(state).ended() == [crashed]
    assert crashed in Workers(state).known()
    heartbeat.remove(state, crashed)
    assert Workers(state).ended() == []


def test_a_name_of_a_host_cannot_lead_out_of_the_folder(state: State, own: Beat) -> None:
    heartbeat.write(state, replace(own, host="../../etc/cron"))
    assert [path.parent for path in Path(state.registry).rglob("*.json")] == [state.workers]
