"""Two phases with a worker that follows the pointer: real versions, no HTTP."""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from registry import heartbeat, manifest, moves, phases, pointer, promotion, shadowing, store
from registry.errors import GuardrailError, IntegrityError, MovedError, UnconfirmedError
from registry.pointer import Champion
from registry.state import State
from registry.worker import Worker
from tests.artefacts import MODEL, install
from tests.registry.following import following
from tests.registry.handmade import flip_byte
from tests.server import wait_for

VERSIONS = ("v1.0.0", "v1.1.0", "v1.2.0")


@pytest.fixture
def state(artefacts: Path, tmp_path: Path) -> State:
    """Three real versions; v1.0.0 is the champion."""
    state = State(tmp_path / "home")
    for version, source in zip(VERSIONS, ("0", "1", "0"), strict=True):
        install(state, artefacts / source, version)
    moves.promote(state, model=None, version="v1.0.0", reason="first")
    return state


@pytest.fixture
def worker(state: State) -> Iterator[Worker]:
    with following(state) as worker:
        yield worker


def serves(worker: Worker) -> tuple[str, int] | None:
    found = worker.serving
    return None if found is None else (found.loaded.version, found.generation)


def force(state: State, version: str) -> promotion.Swap:
    return promotion.promote(state, model=None, version=version, reason="drill", judge=None)


def test_a_promote_is_done_when_the_worker_serves_it(state: State, worker: Worker) -> None:
    swap = force(state, "v1.1.0")
    assert serves(worker) == ("v1.1.0", 2)
    assert (swap.workers, swap.move.before, swap.move.after) == (1, "v1.0.0", "v1.1.0")
    assert "1 of 1 workers" in str(swap)
    assert json.loads(state.champion.read_bytes())["prepare"] is None


def test_rollback_and_promote_find_their_version_in_memory(state: State, worker: Worker) -> None:
    force(state, "v1.1.0")
    wait_for(lambda: set(heartbeat.Workers(state).alive()[0].resident) == {"v1.0.0", "v1.1.0"}, 5)
    loaded = worker.serving
    for _ in range(3):
        assert promotion.rollback(state, version=None, reason="x").move.after == "v1.0.0"
        force(state, "v1.1.0")
        assert loaded is not None
        assert worker.serving is not None
        assert worker.serving.loaded is loaded.loaded


def test_after_a_start_the_rollbacks_target_is_in_memory_too(state: State) -> None:
    moves.promote(state, model=None, version="v1.1.0", reason="")
    with following(state):
        wait_for(
            lambda: set(heartbeat.Workers(state).alive()[0].resident) == {"v1.0.0", "v1.1.0"}, 5
        )
        assert promotion.rollback(state, version=None, reason="x", dry_run=True).resident == 1


def test_the_guardrails_are_asked_before_any_worker(state: State, worker: Worker) -> None:
    asked: list[tuple[str | None, str]] = []

    def judge(champion: Champion | None, challenger: store.Stored) -> Mapping[str, Any]:
        asked.append((champion.version if champion else None, str(challenger.version)))
        if len(asked) == 1:
            raise GuardrailError("recall 0.9 → 0.1")
        return {"status": "pass"}

    before = state.champion.read_bytes()
    with pytest.raises(GuardrailError):
        promotion.promote(state, model=None, version="v1.1.0", reason="", judge=judge)
    assert state.champion.read_bytes() == before
    assert heartbeat.Workers(state).alive()[0].prepared is None
    promotion.promote(state, model=None, version="v1.1.0", reason="", judge=judge)
    assert asked == [("v1.0.0", "v1.1.0")] * 2
    assert pointer.required(state).event["verdict"] == {"status": "pass"}


def test_a_version_that_cannot_be_loaded_aborts_before_anything_moves(
    state: State, worker: Worker
) -> None:
    folder = state.models / MODEL / "v1.1.0"
    (folder / "golden.json").write_bytes(b"{}")  # true to a manifest made anew, and no version
    manifest.write(folder)
    before = json.loads(state.champion.read_bytes())
    with pytest.raises(
        IntegrityError, match=r"v1\.1\.0 cannot serve, and nothing was changed"
    ) as e:
        force(state, "v1.1.0")
    assert str(os.getpid()) in str(e.value)
    assert json.loads(state.champion.read_bytes()) == before
    assert serves(worker) == ("v1.0.0", 1)
    assert worker.problem is None


def test_a_worker_in_the_middle_of_a_prepare_follows_a_rollback(
    state: State, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promote that was preparing finds the champion moved and gives up."""
    force(state, "v1.1.0")
    entered, leave = threading.Event(), threading.Event()
    load = worker._residents.load

    def slow(key: Any) -> Any:
        if key.version == "v1.2.0":
            entered.set()
            leave.wait(10)
        return load(key)

    monkeypatch.setattr(worker._residents, "load", slow)
    outcome: list[BaseException] = []

    def promote() -> None:
        try:
            force(state, "v1.2.0")
        except MovedError as error:
            outcome.append(error)

    thread = threading.Thread(target=promote)
    thread.start()
    assert entered.wait(5)
    swap = promotion.rollback(state, version=None, reason="5xx alto")
    assert swap.seconds < 1
    assert serves(worker) == ("v1.0.0", 3)
    leave.set()
    thread.join(10)
    assert len(outcome) == 1
    assert serves(worker) == ("v1.0.0", 3)


def test_a_worker_that_stays_behind_is_named_with_exit_code_7(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "CONFIRM_SECONDS", 0.2)
    other = heartbeat.Beat("other-host", "pid:[1]", 7, version="v1.0.0", generation=1)
    heartbeat.write(state, other)
    moves.promote(state, model=None, version="v1.1.0", reason="")
    with pytest.raises(UnconfirmedError, match="other-host:7") as caught:
        promotion.rollback(state, version=None, reason="x")
    assert caught.value.exit_code == 7
    assert pointer.required(state).version == "v1.0.0"


def test_a_silent_worker_stops_a_promote_and_not_a_rollback(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "PREPARE_SECONDS", 0.2)
    other = heartbeat.Beat("other-host", "pid:[1]", 7, version="v1.0.0", generation=99)
    heartbeat.write(state, other)
    moves.promote(state, model=None, version="v1.1.0", reason="")
    with pytest.raises(IntegrityError, match="other-host:7: no word"):
        force(state, "v1.2.0")
    assert pointer.required(state).prepare is None
    with pytest.raises(UnconfirmedError, match="other-host:7: no sign of life for 3 s"):
        promotion.rollback(state, version=None, reason="x")
    assert pointer.required(state).version == "v1.0.0"


def test_a_worker_that_expires_while_a_promote_waits_for_it_stops_it(state: State) -> None:
    other = heartbeat.Beat("other-host", "pid:[1]", 7, version="v1.0.0", generation=1)
    heartbeat.write(state, other)
    with pytest.raises(IntegrityError, match="other-host:7: no sign of life for 3 s"):
        force(state, "v1.1.0")
    assert pointer.required(state).version == "v1.0.0"
    assert pointer.required(state).prepare is None
    assert force(state, "v1.1.0").workers == 0  # it was silent before: nobody waits for it


def test_what_was_in_memory_before_the_move_is_told(state: State, worker: Worker) -> None:
    force(state, "v1.2.0")  # one after the other: what it served before stays in memory
    force(state, "v1.1.0")
    wait_for(lambda: "v1.0.0" not in heartbeat.Workers(state).alive()[0].resident, 10)
    cold = promotion.rollback(state, version="v1.0.0", reason="x")
    assert (cold.workers, cold.resident) == (1, 0)
    assert force(state, "v1.2.0").resident == 1  # it was asked for first


def test_a_version_that_is_replaced_while_it_is_judged_is_not_promoted(state: State) -> None:
    def judge(champion: Champion | None, challenger: store.Stored) -> Mapping[str, Any]:
        (challenger.folder / "model_card.md").write_text("another version altogether")
        manifest.write(challenger.folder)
        return {"status": "pass"}

    with pytest.raises(IntegrityError, match="replaced meanwhile"):
        promotion.promote(state, model=None, version="v1.1.0", reason="", judge=judge)
    assert pointer.required(state).version == "v1.0.0"


def test_a_dry_run_for_the_champion_looks_and_changes_nothing(state: State, worker: Worker) -> None:
    shadowing.begin(state, model=None, version="v1.1.0", dry_run=False)
    moves.promote(state, model=None, version="v1.1.0", reason="")
    before = state.challenger.read_bytes()
    swap = promotion.promote(
        state, model=None, version="v1.1.0", reason="x", judge=None, dry_run=True
    )
    assert swap.already
    assert not swap.to_dict()["done"]
    assert state.challenger.read_bytes() == before


def test_a_challenger_is_loaded_and_let_go(state: State, worker: Worker) -> None:
    shadow = shadowing.begin(state, model=None, version="v1.1.0", dry_run=False)
    assert (shadow.workers, shadow.scoring) == (1, 1)
    assert worker.challenger is not None
    assert worker.challenger.version == "v1.1.0"
    force(state, "v1.1.0")  # the champion is nobody's challenger
    wait_for(lambda: worker.challenger is None, 5)
    shadowing.begin(state, model=None, version="v1.0.0", dry_run=False)
    assert shadowing.end(state, dry_run=False).scoring == 0
    assert worker.challenger is None


def test_a_byte_that_flipped_on_disk_does_not_reach_what_is_in_memory(
    state: State, worker: Worker
) -> None:
    force(state, "v1.1.0")
    wait_for(lambda: len(heartbeat.Workers(state).alive()[0].resident) == 2, 5)
    for version in ("v1.0.0", "v1.1.0"):
        flip_byte(state.models / MODEL / version / "pipeline.skops")
    with pytest.raises(IntegrityError):
        promotion.rollback(state, version=None, reason="x")
    time.sleep(0.05)  # polls of the pointer
    assert serves(worker) == ("v1.1.0", 2)
    assert worker.problem is None


def test_a_stopped_worker_leaves_no_heartbeat(state: State) -> None:
    with following(state):
        assert len(heartbeat.Workers(state).alive()) == 1
    assert list(state.workers.iterdir()) == []


def test_a_worker_that_cannot_load_the_champion_still_takes_the_next_one(state: State) -> None:
    """It was started on a damaged champion: fixing forward must be possible."""
    moves.promote(state, model=None, version="v1.1.0", reason="")
    flip_byte(state.models / MODEL / "v1.1.0" / "pipeline.skops")
    with following(state) as worker:
        assert serves(worker) is None
        assert force(state, "v1.2.0").workers == 1
        assert serves(worker) == ("v1.2.0", 3)


def test_who_stops_a_move_after_its_commit_is_told_that_it_is_done(
    state: State, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    force(state, "v1.1.0")

    def stopped(*_: object, **__: object) -> list[heartbeat.Beat]:
        raise KeyboardInterrupt

    monkeypatch.setattr(heartbeat.Workers, "missing", stopped)
    with pytest.raises(UnconfirmedError, match=r"v1\.0\.0 is the champion \(generation 3\)"):
        promotion.rollback(state, version=None, reason="5xx alto")


def test_who_stops_before_their_turn_is_not_told_of_somebody_elses_move(
    state: State, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    force(state, "v1.1.0")

    def stopped(*_: object, **__: object) -> moves.Move:
        promoted(state, version="v1.2.0", model=None, reason="a colleague's")
        raise KeyboardInterrupt

    promoted = moves.promote
    monkeypatch.setattr(moves, "rollback", stopped)
    with pytest.raises(KeyboardInterrupt):
        promotion.rollback(state, version=None, reason="5xx alto")


def test_a_commit_that_fails_withdraws_what_was_prepared(
    state: State, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(moves, "promote", full)
    with pytest.raises(OSError, match="No space left"):
        force(state, "v1.1.0")
    assert pointer.required(state).prepare is None
    assert serves(worker) == ("v1.0.0", 1)
