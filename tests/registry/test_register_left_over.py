"""What registers that were killed left is gone after the next one, and nothing else is."""

from pathlib import Path

import pytest
import yaml

from registry import register as register_module
from registry import state as state_module
from registry.errors import VersionExistsError
from registry.state import State
from tests.registry.handmade import MODEL, make_version, promote, tree_sha256


def put_bento(state: State, name: str, content: object) -> Path:
    folder = state.bentos / name
    folder.mkdir(parents=True)
    (folder / "bento.yaml").write_text(yaml.safe_dump(content))
    return folder


def of_model(*tags: str) -> dict[str, object]:
    return {"name": "datathon-api", "models": [{"tag": tag} for tag in tags]}


def put_rows(state: State, name: str) -> Path:
    state.held_out.mkdir(parents=True, exist_ok=True)
    path = state.held_out / name
    path.write_bytes(b"rows")
    return path


def move_in(state: State, version: str) -> None:
    """The last step of a register, which has built."""
    staged = register_module._Staged(state.staging / version, MODEL, version)
    make_version(State(staged.folder), version)
    staged.held_out.write_bytes(b"its rows")
    register_module._move_in(state, staged, state.models / MODEL / version)


def test_what_a_killed_register_left_is_removed_by_the_next_of_any_version(state: State) -> None:
    bento = put_bento(state, "v3.0.0", of_model(f"{MODEL}:v3.0.0"))
    rows = [put_rows(state, f"{version}.parquet") for version in ("v3.0.0", "v3.1.0-rc.2")]
    move_in(state, "v2.0.0")
    assert not bento.exists()
    assert not any(path.exists() for path in rows)
    assert {path.name for path in state.bentos.iterdir()} == {
        *("v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0")
    }
    assert [path.name for path in state.held_out.iterdir()] == ["v2.0.0.parquet"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v3.0.0", {"name": "datathon-api", "models": []}),  # built by hand, with no model
        ("v3.0.0", {"name": "datathon-api"}),
        ("v3.0.0", of_model(f"{MODEL}:v1.0.0")),
        ("v3.0.0", of_model(f"{MODEL}:v3.0.0", "other:v1.0.0")),
        ("v3.0.0", of_model("../up:v3.0.0")),
        ("v3.0.0", "no mapping"),
        ("mine", of_model(f"{MODEL}:mine")),
        ("v3", of_model(f"{MODEL}:v3")),
        ("v1.2.0", of_model(f"{MODEL}:v1.2.0")),  # whose model is there
    ],
)
def test_a_bento_that_no_register_left_stays(state: State, name: str, content: object) -> None:
    (state.bentos / name / "bento.yaml").unlink(missing_ok=True)
    if (state.bentos / name).exists():
        (state.bentos / name).rmdir()
    bento = put_bento(state, name, content)
    before = tree_sha256(bento)
    move_in(state, "v2.0.0")
    assert tree_sha256(bento) == before


def test_rows_of_a_model_that_is_there_and_files_of_other_names_stay(state: State) -> None:
    kept = [put_rows(state, name) for name in ("v1.0.0.parquet", "notes.parquet", "v3.0.0.csv")]
    move_in(state, "v2.0.0")
    assert all(path.exists() for path in kept)


def test_what_is_left_of_a_version_that_was_champion_stays(state: State) -> None:
    """Its model was lost, and these may be what it is made anew from."""
    promote(state, "v1.1.0", "v1.2.0")
    (state.bentos / "v1.1.0" / "bento.yaml").write_text(yaml.safe_dump(of_model(f"{MODEL}:v1.1.0")))
    rows = put_rows(state, "v1.1.0.parquet")
    (state.models / MODEL / "v1.1.0").rename(state.home / "aside")
    move_in(state, "v2.0.0")
    assert rows.exists()
    assert (state.bentos / "v1.1.0").exists()


def test_a_register_that_is_refused_removes_nothing(state: State) -> None:
    bento = put_bento(state, "v3.0.0", of_model(f"{MODEL}:v3.0.0"))
    with pytest.raises(VersionExistsError):
        move_in(state, "v1.0.0")
    assert bento.exists()


def test_what_cannot_be_removed_does_not_stand_in_the_way(
    state: State,
) -> None:
    (state.held_out / "v3.0.0.parquet").mkdir(parents=True)
    others = put_rows(state, "v3.1.0.parquet")
    bento = put_bento(state, "v3.0.0", of_model(f"{MODEL}:v3.0.0"))
    move_in(state, "v2.0.0")
    assert (state.held_out / "v3.0.0.parquet").exists()
    assert not others.exists()
    assert not bento.exists()
    assert (state.models / MODEL / "v2.0.0").exists()


def test_the_folders_that_a_first_register_makes_survive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path / "home")
    state.staging.mkdir(parents=True)
    synced: list[Path] = []
    monkeypatch.setattr(state_module, "sync", synced.append)
    move_in(state, "v1.0.0")
    assert set(synced) == {state.home, state.models, state.home / "bentos", state.registry}
    synced.clear()
    move_in(state, "v1.1.0")
    assert synced == []  # but for what was moved in, which the first test sees
