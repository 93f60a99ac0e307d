"""A pointer that is gone, damaged, or a copy from before: who serves, and how a move goes on."""

import shutil
from pathlib import Path

import pytest

from registry import manifest, moves, pointer, promotion
from registry.errors import IntegrityError
from registry.state import State
from registry.verification import verify
from registry.worker import Baked, Worker
from tests.artefacts import MODEL, install
from tests.registry.following import following
from tests.registry.handmade import champion, history_lines
from tests.server import wait_for

VERSIONS = ("v1.0.0", "v1.1.0", "v1.2.0")


@pytest.fixture
def state(artefacts: Path, tmp_path: Path) -> State:
    """Three real versions, of which the second is the champion."""
    state = State(tmp_path / "home")
    for version, source in zip(VERSIONS, ("0", "1", "0"), strict=True):
        install(state, artefacts / source, version)
    for version in VERSIONS[:2]:
        moves.promote(state, model=None, version=version, reason="first")
    return state


@pytest.fixture
def baked(state: State, tmp_path: Path) -> Baked:
    """The model inside a Bento."""
    folder = tmp_path / "bento"
    shutil.copytree(state.models / MODEL / "v1.0.0", folder)
    return Baked(folder, "v0.9.0")


def force(state: State, version: str) -> promotion.Swap:
    return promotion.promote(state, model=None, version=version, reason="drill", judge=None)


def broken(state: State, version: str) -> None:
    """The version becomes one whose bytes are true to its manifest and that nobody can load."""
    folder = state.models / MODEL / version
    (folder / "golden.json").write_bytes(b"{}")
    manifest.write(folder)


def spoil(state: State, content: bytes | None) -> None:
    if content is None:
        state.champion.unlink()
    else:
        state.champion.write_bytes(content)


def serves(worker: Worker) -> tuple[str, int] | None:
    found = worker.serving
    return None if found is None else (found.loaded.version, found.generation)


LOST = pytest.mark.parametrize("content", [None, b"", b"{"], ids=["gone", "empty", "garbage"])


@LOST
@pytest.mark.parametrize("is_container", [False, True])
def test_a_worker_that_starts_then_serves_the_last_champion_and_says_why(
    state: State, baked: Baked, content: bytes | None, is_container: bool
) -> None:
    spoil(state, content)
    with following(state, baked if is_container else None) as worker:
        assert serves(worker) == ("v1.1.0", 2)
        assert "champion.json" in (worker.problem or "")
        assert "v1.1.0 goes on" in (worker.problem or "")
        verify(state, None)
        wait_for(lambda: worker.problem is None, 10)
        assert serves(worker) == ("v1.1.0", 2)


def test_a_bentos_own_model_serves_only_where_nothing_was_ever_promoted(
    state: State, baked: Baked
) -> None:
    state.champion.unlink()
    state.history.unlink()
    with following(state, baked) as worker:
        assert (serves(worker), worker.problem) == (("v0.9.0", 0), None)
    state.champion.write_bytes(b"{")
    with following(state, baked) as worker:
        assert serves(worker) is None
        assert "not a champion pointer" in (worker.problem or "")


def test_a_pointer_that_names_nothing_registered_is_no_fallback_to_another(state: State) -> None:
    unknown = state.champion.read_text().replace("v1.1.0", "v9.9.9")
    with following(state) as worker:
        state.champion.write_text(unknown)
        wait_for(lambda: "v9.9.9" in (worker.problem or ""), 5)
        assert serves(worker) == ("v1.1.0", 2)
    with following(state) as worker:
        assert serves(worker) is None


@LOST
def test_a_promote_asks_the_workers_all_the_same(state: State, content: bytes | None) -> None:
    broken(state, "v1.2.0")
    with following(state) as worker:
        spoil(state, content)
        with pytest.raises(IntegrityError, match=r"v1\.2\.0 cannot serve, and nothing was changed"):
            force(state, "v1.2.0")
        assert serves(worker) == ("v1.1.0", 2)
    assert pointer.required(state).version == "v1.1.0"


def test_a_first_promote_of_what_cannot_be_loaded_changes_nothing(
    state: State, baked: Baked
) -> None:
    shutil.rmtree(state.registry)
    broken(state, "v1.2.0")
    with following(state, baked) as worker:
        with pytest.raises(IntegrityError, match="not a version"):
            force(state, "v1.2.0")
        assert not state.champion.exists()
        assert serves(worker) == ("v0.9.0", 0)
        assert force(state, "v1.0.0").workers == 1
        assert serves(worker) == ("v1.0.0", 1)


def test_a_pointer_from_before_is_told_apart_and_written_anew(state: State) -> None:
    before = state.champion.read_bytes()
    moves.promote(state, model=None, version="v1.2.0", reason="then it was put back")
    for move, after in (
        (lambda: verify(state, None), ("v1.2.0", 3)),
        (lambda: force(state, "v1.2.0"), ("v1.2.0", 3)),
        (lambda: force(state, "v1.0.0"), ("v1.0.0", 4)),
    ):
        state.champion.write_bytes(before)
        with following(state) as worker:
            assert serves(worker) == ("v1.1.0", 2)
            move()
            wait_for(lambda: serves(worker) == after, 10)  # noqa: B023
        found = champion(state)
        assert (found["version"], found["generation"]) == after
        assert [line["generation"] for line in history_lines(state)] == list(range(1, after[1] + 1))


def test_what_a_killed_promote_asked_for_is_withdrawn(state: State) -> None:
    asked = {"id": "1", "model": MODEL, "version": "v1.2.0", "digest": "sha256:0"}
    for command in (lambda: verify(state, None), lambda: force(state, "v1.1.0")):
        with pointer.lock(state):
            pointer.announce(state, asked, expected=2)
        command()
        found = pointer.required(state)
        assert (found.prepare, found.generation) == (None, 2)
