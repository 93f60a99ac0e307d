"""What a worker loads in case it is wanted: it tries again what failed, and none of it is in the
way of the rest."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import background, challenger, manifest, moves
from registry.residents import Key, Residents
from registry.state import State
from tests.artefacts import MODEL, install
from tests.registry.following import following
from tests.registry.handmade import flip_byte
from tests.server import wait_for

OLD, NEW, OTHER = "v1.0.0", "v1.1.0", "v1.2.0"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_RETRY_SECONDS", 0.02)


@pytest.fixture
def state(artefacts: Path, tmp_path: Path) -> State:
    """NEW is the champion, OLD was, and OTHER may be its challenger."""
    state = State(tmp_path / "home")
    for version, source in ((OLD, "0"), (NEW, "1"), (OTHER, "0")):
        install(state, artefacts / source, version)
    for version in (OLD, NEW):
        moves.promote(state, model=None, version=version, reason="")
    return state


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The version of each load that was asked for."""
    asked: list[str] = []
    load = Residents.load

    def counted(self: Residents, key: Key) -> object:
        asked.append(key.version)
        return load(self, key)

    monkeypatch.setattr(Residents, "load", counted)
    return asked


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What a worker logs as errors."""
    told: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    listener = Listener(logging.ERROR)
    logger = logging.getLogger("bentoml.datathon")
    logger.addHandler(listener)
    yield told
    logger.removeHandler(listener)


@pytest.mark.parametrize(("version", "words"), [(OLD, "roll back to"), (OTHER, "shadow with")])
def test_what_could_not_be_loaded_is_tried_again_and_told_once_a_reason(
    state: State, loads: list[str], errors: list[str], version: str, words: str
) -> None:
    challenger.choose(state, model=None, version=OTHER)
    folder = state.models / MODEL / version
    flip_byte(folder / manifest.PIPELINE)
    with following(state) as worker:
        wait_for(lambda: loads.count(version) > 3, 10)
        flip_byte(folder / manifest.PIPELINE)  # the first byte again
        aside = folder.with_name("aside")
        folder.rename(aside)
        wait_for(lambda: any("no version" in told for told in errors), 10)
        tried = loads.count(version)
        wait_for(lambda: loads.count(version) > tried + 3, 10)
        aside.rename(folder)
        wait_for(lambda: set(worker._residents.versions) == {OLD, NEW, OTHER}, 10)
        wait_for(lambda: worker.challenger is not None, 10)
        assert worker.problem is None
    assert len(errors) == len(set(errors))
    assert all(told.startswith(f"cannot {words} {version}: ") for told in errors)


def test_who_is_ready_does_not_look_again(state: State, loads: list[str]) -> None:
    with following(state) as worker:
        wait_for(lambda: worker._residents.versions == (OLD, NEW), 10)
        assert not worker._background._problems
        assert loads.count(OLD) == 1


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, None], ids=["torn", "deep", "folder"])
def test_a_damaged_challenger_does_not_keep_the_rollbacks_target_out(
    state: State, errors: list[str], content: bytes | None
) -> None:
    if content is None:
        state.challenger.mkdir()
    else:
        state.challenger.write_bytes(content)
    with following(state) as worker:
        wait_for(lambda: worker._residents.versions == (OLD, NEW), 10)
        wait_for(lambda: errors, 10)
        assert worker.challenger is None
    (told,) = errors
    assert told.startswith("cannot shadow with any: ")
    assert str(state.challenger) in told


def test_a_history_that_cannot_be_read_does_not_keep_the_challenger_out(
    state: State, errors: list[str]
) -> None:
    challenger.choose(state, model=None, version=OTHER)
    content = state.history.read_bytes()
    state.history.unlink()
    state.history.mkdir()
    with following(state) as worker:
        wait_for(lambda: worker.challenger is not None, 10)
        assert worker._residents.versions == (NEW, OTHER)
        state.history.rmdir()
        state.history.write_bytes(content)
        wait_for(lambda: OLD in worker._residents.versions, 10)
    assert len(errors) == 1


def test_a_version_that_fails_in_a_way_nobody_foresaw_is_tried_again_too(
    state: State, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Residents.load
    failed: list[str] = []

    def strange(self: Residents, key: Key) -> object:
        if key.version == OLD and len(failed) < 3:
            failed.append(key.version)
            raise MemoryError
        return load(self, key)

    monkeypatch.setattr(Residents, "load", strange)
    with following(state) as worker:
        wait_for(lambda: OLD in worker._residents.versions, 10)
    assert len(errors) == 1
    assert "unexpected MemoryError" in errors[0]


def test_a_challenger_that_has_become_champion_is_nobodys_and_no_failure(
    state: State, errors: list[str]
) -> None:
    content = challenger.choose(state, model=None, version=OTHER)
    moves.promote(state, model=None, version=OTHER, reason="")
    assert json.loads(state.challenger.read_bytes())["version"] == content.version
    shutil.rmtree(state.models / MODEL / OLD)  # no longer what a rollback would go to
    with following(state) as worker:
        wait_for(lambda: worker._residents.versions == (NEW, OTHER), 10)
        assert worker.challenger is None
    assert errors == []
