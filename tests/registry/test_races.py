"""Processes that move the pointer at the same time: one history, and nobody is told a falsehood."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry import promotion, store
from registry.errors import MovedError
from registry.pointer import Champion
from registry.state import PROJECT, State, exclusive
from tests.registry.handmade import (
    MODEL,
    assert_chained,
    champion,
    history_lines,
    make_version,
    promote,
    tree_sha256,
)
from tests.server import command, environment

MOVERS, EACH = 8, 50
VERSIONS = tuple(f"v1.{number}.0" for number in range(6))

_MOVER = """
import contextlib, io, json, random, sys
from registry.__main__ import main

seed, times, *versions = sys.argv[1:]
chance = random.Random(int(seed))
told = []
for _ in range(int(times)):
    words = ["rollback"]
    if chance.random() < 0.6:
        words = ["promote", "--force", "--version", chance.choice(versions)]
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main([*words, "--reason", seed, "--json"])
    told.append([words[0], code, out.getvalue(), errors.getvalue()])
print(json.dumps(told))
"""

_READER = """
import json, sys, threading, time
from registry import pointer
from registry.state import State

state = State.from_environment()
writing = threading.Thread(target=sys.stdin.read)  # it ends with the movers
writing.start()
seen, last = set(), 0
while writing.is_alive():
    champion = pointer.read(state)
    if champion is not None:
        assert champion.version == champion.event["to"], champion
        assert champion.generation >= last, (champion.generation, last)
        last = champion.generation
        seen.add(last)
    time.sleep(0.0005)
print(json.dumps([len(seen), last]))
"""


def start(state: State, script: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=PROJECT,
        env=environment(state.home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> Any:
    out, errors = process.communicate(timeout=180)
    assert (process.returncode, errors) == (0, "")
    return json.loads(out)


def race(state: State) -> tuple[list[list[Any]], list[tuple[int, int]]]:
    """What every mover was told, and of each reader how many generations it saw and the last."""
    readers = [start(state, _READER) for _ in range(2)]
    movers = [start(state, _MOVER, str(seed), str(EACH), *VERSIONS) for seed in range(MOVERS)]
    told = [move for mover in movers for move in ended(mover)]
    return told, [tuple(ended(reader)) for reader in readers]


def test_racing_moves_give_one_history_in_which_each_winner_finds_its_own(tmp_path: Path) -> None:
    """A rollback waits its turn and exits 3 where no good version is left; a promote that was
    overtaken by a rollback exits 5, and one of what serves already exits 0 and moves nothing."""
    state = State(tmp_path / "home")
    folders = {version: make_version(state, version) for version in VERSIONS}
    told, readers = race(state)

    assert len(told) == MOVERS * EACH
    codes = {(action, code) for action, code, *_ in told}
    assert codes <= {("promote", 0), ("promote", 5), ("rollback", 0), ("rollback", 3)}
    done = [json.loads(out) for _, code, out, _ in told if code == 0]
    for _, code, out, errors in told:
        assert errors.startswith("error: ") == (out == "") == (code != 0)
        assert errors.count("\n") == (code != 0)

    history = history_lines(state)
    told_moves = {move["generation"]: move for move in done if move["from"] != move["to"]}
    assert sum(move["from"] != move["to"] for move in done) == len(told_moves) == len(history)
    for line in history:
        move = told_moves[line["generation"]]
        assert all(move[key] == line[key] for key in ("action", "model", "from", "to"))
        manifest = (folders[line["to"]] / "manifest.json").read_bytes()
        assert line["digest"] == "sha256:" + hashlib.sha256(manifest).hexdigest()
    assert {line["action"] for line in history} == {"promote", "rollback"}
    assert len(history) > MOVERS * EACH / 8

    assert_chained(state)
    assert champion(state)["generation"] == len(history)
    assert command(state.home, "registry", "verify").returncode == 0
    left_behind = {path.name for path in state.registry.iterdir()}
    kept = {".lock", ".promote.lock", ".reserve", "champion.json", "history.jsonl"}
    assert left_behind == kept
    for seen, last in readers:
        assert last <= len(history)
        assert seen > len(history) / 8


def test_a_promote_that_a_rollback_overtakes_exits_5_and_the_rollback_stands(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0")

    def judge(before: Champion | None, stored: store.Stored) -> dict[str, Any]:
        command(state.home, "registry", "rollback", "--reason", "5xx alto")
        return {"status": "pass"}

    with pytest.raises(MovedError, match=r"moved the champion to v1\.0\.0 meanwhile") as caught:
        promotion.promote(state, model=MODEL, version="v1.2.0", reason="", judge=judge)
    assert caught.value.exit_code == 5
    assert (champion(state)["version"], champion(state)["generation"]) == ("v1.0.0", 3)
    assert_chained(state)


def test_a_second_promote_waits_its_turn_and_a_rollback_does_not(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    monkeypatch.setattr(promotion, "TURN_SECONDS", 0.05)
    with exclusive(state.registry / ".promote.lock", busy="", seconds=1):
        before = tree_sha256(state.home)
        with pytest.raises(MovedError, match="another promote is at work") as caught:
            promotion.promote(state, model=MODEL, version="v1.2.0", reason="x", judge=None)
        assert caught.value.exit_code == 5
        assert tree_sha256(state.home) == before
        command(state.home, "registry", "rollback", "--reason", "5xx alto")
    assert champion(state)["version"] == "v1.0.0"
