"""What counts as registered, and which number is free."""

from pathlib import Path

import pytest

from registry import manifest, store
from registry.errors import UnknownVersionError, VersionExistsError
from registry.register import refuse_existing
from registry.state import State
from registry.versions import Version
from tests.registry.handmade import MODEL, history_lines, make_version, promote


def foreign(state: State, version: str) -> Path:
    """A model of another tool in the same store."""
    folder = state.models / "other" / version
    folder.mkdir(parents=True)
    (folder / "saved_model.pkl").write_bytes(b"x")
    return folder


def test_another_tools_models_are_none_of_ours(tmp_path: Path) -> None:
    state = State(tmp_path)
    foreign(state, "v1.0.0")
    with pytest.raises(UnknownVersionError, match="nothing is registered"):
        store.models(state)


def test_a_model_that_lost_its_manifest_is_still_ours(state: State) -> None:
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        (state.models / MODEL / version / manifest.MANIFEST).unlink()
    foreign(state, "v1.0.0")
    assert store.models(state) == [MODEL]


def test_the_model_that_the_pointer_or_the_history_names_is_ours(state: State) -> None:
    promote(state, "v1.0.0")
    (state.models / MODEL).rename(state.home / "aside")
    assert store.models(state) == [MODEL]
    state.history.unlink()
    assert store.models(state) == [MODEL]
    assert store.versions(state, MODEL) == []


def test_the_next_free_number_is_taken_by_nobody(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert store.next_version(state) == Version(1, 0, 0)
    foreign(state, "v1.0.0")
    assert store.next_version(state) == Version(1, 1, 0)
    make_version(state, "v1.1.0")
    foreign(state, "v2.0.0-rc.1")
    (state.models / "other" / "latest").write_text("v9.0.0")
    assert store.next_version(state) == Version(2, 1, 0)


def test_the_refusal_names_a_number_that_is_not_refused(tmp_path: Path) -> None:
    state = State(tmp_path)
    foreign(state, "v1.0.0")
    with pytest.raises(VersionExistsError, match=r"the next free number is v1\.1\.0"):
        refuse_existing(state, "v1.0.0")
    refuse_existing(state, "v1.1.0")


def test_a_number_that_was_champion_is_not_given_again(state: State) -> None:
    promote(state, "v1.2.0")
    (state.models / MODEL / "v1.2.0").rename(state.home / "aside")
    assert [line["to"] for line in history_lines(state)] == ["v1.2.0"]
    assert store.next_version(state) == Version(1, 3, 0)
