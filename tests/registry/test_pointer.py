"""champion.json, the commit point; real processes for races."""

import hashlib
import os
import subprocess
import sys

import pytest

from registry import pointer
from registry.errors import (
    IntegrityError,
    MovedError,
    UnknownVersionError,
)
from registry.state import PROJECT, State
from tests.registry.handmade import (
    MODEL,
    assert_chained,
    champion,
    promote,
    rollback,
    tree_sha256,
)

KEYS = {"schema", "model", "version", "generation", "digest", "prepare", "event"}


EVENT_KEYS = {"action", "from", "to", "by", "reason", "at", "verdict", "prev_sha256"}


def test_promote_writes_the_pointer_of_the_design(state: State) -> None:
    promote(state, "v1.0.0")
    promote(state, "v1.1.0", reason="better recall")
    written = champion(state)
    assert written.keys() == KEYS
    assert written["event"].keys() == EVENT_KEYS
    assert (written["schema"], written["model"], written["version"]) == (1, MODEL, "v1.1.0")
    assert (written["generation"], written["prepare"]) == (2, None)
    manifest = (state.models / MODEL / "v1.1.0" / "manifest.json").read_bytes()
    assert written["digest"] == "sha256:" + hashlib.sha256(manifest).hexdigest()
    event = written["event"]
    assert (event["action"], event["from"], event["to"]) == ("promote", "v1.0.0", "v1.1.0")
    assert event["reason"] == "better recall"
    assert event["by"]
    assert event["at"].endswith("Z")


def test_the_first_promote_comes_from_nowhere(state: State) -> None:
    assert pointer.read(state) is None
    with pytest.raises(UnknownVersionError, match="no champion yet"):
        pointer.required(state)
    promote(state, "v1.0.0")
    assert champion(state)["generation"] == 1
    assert champion(state)["event"]["from"] is None
    assert champion(state)["event"]["prev_sha256"] is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b"null",
        b'{"model": "m"}',
        b'{"schema":1,"model":"../x","version":"v1.0.0","generation":9,"digest":"","event":{}}',
        b'{"schema":1,"model":"m","version":"v1.0.0","generation":"9","digest":"d",'
        b'"event":{"action":"promote","to":"v1.0.0"}}',
        b'{"schema":1,"model":"m","version":"v1.0.0","generation":9,"digest":"d","event":{}}',
        b'{"schema":1,"model":"m","version":"latest","generation":9,"digest":"d",'
        b'"event":{"action":"promote","to":"latest"}}',
    ],
)
def test_a_damaged_pointer_is_said_and_a_promote_goes_on_from_the_history(
    state: State, damage: bytes
) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    state.champion.write_bytes(damage)
    with pytest.raises(IntegrityError, match=r"registry verify. mends it"):
        pointer.read(state)
    promote(state, "v1.2.0")
    assert champion(state)["generation"] == 3
    assert champion(state)["event"]["from"] == "v1.1.0"
    assert_chained(state)
    assert rollback(state) == "v1.1.0"


def test_a_lost_pointer_does_not_start_again_at_generation_1(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    state.champion.unlink()
    assert rollback(state) == "v1.0.0"
    assert champion(state)["generation"] == 3


def test_a_move_is_done_once_the_pointer_stands_though_the_history_cannot_grow(
    state: State,
) -> None:
    """A limit on the size of files, which champion.json keeps and the longer history does not."""
    promote(state, *["v1.0.0", "v1.1.0"] * 4)
    script = (
        "import resource, sys; from registry.__main__ import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)); sys.exit(main())"
    )
    size = state.history.stat().st_size
    assert size > 1500
    arguments = ["promote", "--force", "--reason", "drill", "--version"]
    done = run_python(state, "-c", script, *arguments, "v1.2.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert champion(state)["generation"] == 9
    assert state.history.stat().st_size == size
    assert run_python(state, "-c", script, *arguments, "v1.1.0").returncode == 1
    assert champion(state)["generation"] == 9
    promote(state, "v1.0.0")
    assert champion(state)["generation"] == 10
    assert_chained(state)


def test_whoever_finds_the_lock_held_says_so_and_exits_5(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointer, "_LOCK_SECONDS", 0.05)
    promote(state, "v1.0.0")
    before = tree_sha256(state.home)
    with pointer.lock(state), pytest.raises(MovedError) as caught:
        promote(state, "v1.1.0")
    assert caught.value.exit_code == 5
    assert tree_sha256(state.home) == before


def run_python(state: State, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=os.environ | {"BENTOML_HOME": str(state.home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
