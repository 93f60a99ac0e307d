"""What is made on disk, and what survives a power cut."""

import os
from pathlib import Path

import pytest

from monitoring.log import files as log_files
from registry import history
from registry import state as state_module
from registry.state import State, exclusive, make_folder, open_file, replace_file


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were forced to disk, in order."""
    found: list[Path] = []
    monkeypatch.setattr(state_module, "sync", found.append)
    return found


def test_a_new_file_survives_with_every_folder_that_was_made_for_it(
    tmp_path: Path, synced: list[Path]
) -> None:
    path = tmp_path / "a" / "b" / "file"
    replace_file(path, b"1")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    synced.clear()
    replace_file(path, b"2")
    assert synced == [tmp_path / "a" / "b"]


def test_the_folder_of_a_lock_survives(tmp_path: Path, synced: list[Path]) -> None:
    for _ in range(2):
        with exclusive(tmp_path / "a" / ".lock", busy="", seconds=1):
            pass
    assert synced == [tmp_path]


def test_the_mode_is_the_last_folders(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", 0o750)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "a").stat().st_mode & 0o005 == 0o005


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(OSError, match=r"exists|Not a directory"):
            make_folder(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone may give files away")
def test_what_root_makes_belongs_to_whose_the_folder_is(tmp_path: Path) -> None:
    os.chown(tmp_path, 1034, 1035)
    replace_file(tmp_path / "a" / "file", b"1")
    with exclusive(tmp_path / ".lock", busy="", seconds=1):
        pass
    made = [tmp_path / "a", tmp_path / "a" / "file", tmp_path / ".lock"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(1034, 1035)}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone may give files away")
def test_what_a_link_points_to_is_not_given_away(tmp_path: Path) -> None:
    (tmp_path / "roots").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    os.chown(folder, 1034, 1034)
    (folder / ".lock").symlink_to(tmp_path / "roots")
    os.close(open_file(folder / ".lock", os.O_RDWR))
    assert (tmp_path / "roots").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone may give files away")
def test_a_file_that_stands_there_keeps_its_owner(tmp_path: Path) -> None:
    """In a folder of root's with files of the service's, and in one of the service's with a second
    name of a file of root's."""
    state, owner = State(tmp_path), 1034
    log = state.inference_log
    service = [state.registry / ".lock", state.history, log / ".layout", log / ".maintenance"]
    for path in service:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.chown(path, owner, owner)
    event = {"action": "rollback", "to": "v1.0.0"}
    with exclusive(state.registry / ".lock", busy="", seconds=1):
        history.append(state, event)
    with log_files.opened(log / "dt=2026-03-01"), log_files.maintenance(log):
        log_files.create(log / ".layout")
    assert {path.stat().st_uid for path in service} == {owner}

    roots, folder = tmp_path / "roots", tmp_path / "services"
    roots.touch()
    folder.mkdir()
    os.chown(folder, owner, owner)
    for name in (".layout", ".maintenance"):
        (folder / name).hardlink_to(roots)
    with log_files.opened(folder / "dt=2026-03-01"), log_files.maintenance(folder):
        log_files.create(folder / ".layout")
    assert roots.stat().st_uid == 0
