"""Promote and rollback killed with SIGKILL: the pointer stands, and the next command mends."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import heartbeat, history, manifest, pointer
from registry.state import PROJECT, State
from tests.registry.handmade import assert_chained, champion, history_lines, promote
from tests.registry.mortal import KILLED, Aim, Forks
from tests.server import environment, wait_for

VERSIONS = ("v1.0.0", "v1.1.0", "v1.2.0")
FORKED_KILLS, WHOLE_KILLS = 270, 30
"""300 in all; the second kind from the interpreter's first instruction on."""


@pytest.fixture
def forks(state: State) -> Iterator[Forks]:
    with Forks(state.home) as running:
        yield running


def a_move(state: State, chance: random.Random) -> list[str]:
    """A command that moves the pointer, if it is let: a rollback where there is one."""
    events = pointer.events(state)
    if len(history.good_champions(events)) > 1 and chance.random() < 0.5:
        return ["rollback", "--reason", "drill"]
    serving = events[-1]["to"] if events else None
    version = chance.choice([version for version in VERSIONS if version != serving])
    return ["promote", "--version", version, "--force", "--reason", "drill"]


def generation_of(state: State) -> int:
    """The pointer's generation, once all that a crash must keep was looked at: it parses and names
    a whole version, and the lines of the history that ended lead up to it."""
    if not state.champion.exists():
        return 0
    written = champion(state)
    manifest.read_verified(state.models / written["model"] / written["version"], written["digest"])
    generation = int(written["generation"])
    *ended, _ = state.history.read_bytes().split(b"\n") if state.history.exists() else [b""]
    told = [json.loads(line)["generation"] for line in ended]
    assert told in (list(range(1, generation)), list(range(1, generation + 1)))
    return generation


def assert_mended(state: State) -> None:
    """The history after a command that came to its end: whole, chained, and the pointer's."""
    assert_chained(state)
    assert history_lines(state)[-1] == history.entry(champion(state))
    assert pointer.read(state) is not None


def test_a_kill_at_any_moment_leaves_a_pointer_and_a_history_that_goes_on(
    state: State, forks: Forks
) -> None:
    chance = random.Random(1)
    began = time.monotonic()
    assert forks.run(a_move(state, chance)) == 0
    aim = Aim((time.monotonic() - began) / 2, chance)
    while aim.kills < FORKED_KILLS:
        before = generation_of(state)
        code = forks.run(a_move(state, chance), seconds=aim.seconds())
        after = generation_of(state)
        assert code in (0, KILLED)
        assert after - before in ((0, 1) if code == KILLED else (1,))
        aim.tell(code, committed=after > before)
        if chance.random() < 0.5:  # else the next one is killed over what this one left
            assert forks.run(a_move(state, chance)) == 0
            assert generation_of(state) == after + 1
            assert_mended(state)
    # Enough on both sides of the commit; what lies between is killed step by step below.
    assert min(aim.before, aim.after) > FORKED_KILLS / 20


def test_a_kill_of_the_whole_command_at_any_moment(state: State) -> None:
    chance = random.Random(2)

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "registry", *a_move(state, chance)]
        return subprocess.Popen(
            command, cwd=PROJECT, env=environment(state.home), stdout=subprocess.DEVNULL
        )

    began = time.monotonic()
    assert start().wait(60) == 0
    whole = time.monotonic() - began
    killed = 0
    while killed < WHOLE_KILLS:
        before = generation_of(state)
        process = start()
        time.sleep(chance.uniform(0, whole))
        process.kill()
        killed += process.wait(60) == KILLED
        assert generation_of(state) - before in (0, 1)
    assert start().wait(60) == 0
    assert_mended(state)


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_a_kill_before_each_change_on_disk(state: State, forks: Forks, action: str) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    arguments = [action, "--reason", "drill"]
    if action == "promote":
        arguments += ["--force", "--version", "v1.2.0"]
    target = {"promote": "v1.2.0", "rollback": "v1.0.0"}[action]
    kept, served = 0, []
    while (code := forks.run(arguments, step=kept)) == KILLED:
        generation_of(state)
        served.append(champion(state)["version"])
        assert forks.run(["verify"]) == 0
        assert_mended(state)
        promote(state, "v1.0.0", "v1.1.0")
        kept += 1
    assert code == 0
    assert champion(state)["version"] == target
    # Once the pointer has moved it stays moved; and both sides of the commit were seen.
    assert served == sorted(served, key=lambda version: version == target)
    assert set(served) == {"v1.1.0", target}


@pytest.fixture
def waiting_worker(state: State) -> Path:
    """The heartbeat of a worker that is alive, as this process is, and never gets ready."""
    promote(state, "v1.0.0")
    heartbeat.write(state, heartbeat.Beat.of_this_process())
    [path] = state.workers.glob("*.json")
    return path


def begin(state: State, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "registry", *arguments],
        cwd=PROJECT,
        env=environment(state.home),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_stop_while_workers_turn_to_the_challenger_says_that_it_is_set(
    state: State, waiting_worker: Path
) -> None:
    process = begin(state, "shadow", "--version", "v1.1.0")

    def chosen() -> bool:
        waiting_worker.touch()
        return state.challenger.exists()

    wait_for(chosen, 30)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (
        7,
        "error: the shadow is set to v1.1.0; stopped before every worker was heard of\n",
    )


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_promote_that_ends_while_workers_get_ready_has_moved_nothing(
    state: State, forks: Forks, waiting_worker: Path, ending: signal.Signals
) -> None:
    process = begin(state, "promote", "--version", "v1.1.0", "--force", "--reason", "drill")

    def asked() -> bool:
        waiting_worker.touch()
        return champion(state)["prepare"] is not None

    wait_for(asked, 30)
    process.send_signal(ending)
    _, errors = process.communicate(timeout=30)
    ended = {
        signal.SIGKILL: (KILLED, ""),
        signal.SIGINT: (130, "stopped; the champion was not moved\n"),
    }
    assert (process.returncode, errors) == ended[ending]
    assert (champion(state)["version"], generation_of(state)) == ("v1.0.0", 1)
    assert (champion(state)["prepare"] is None) == (ending == signal.SIGINT)
    waiting_worker.unlink()
    assert forks.run(["promote", "--version", "v1.2.0", "--force", "--reason", "drill"]) == 0
    assert champion(state)["prepare"] is None
    assert_mended(state)
