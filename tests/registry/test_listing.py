"""What `list` tells of versions that a rollback left and of a champion that was lost."""

import shutil

import pytest

from registry import listing, manifest, verification
from registry.errors import UnknownVersionError
from registry.state import State
from tests.registry.handmade import MODEL, promote, rollback


def test_all_that_a_rollback_to_an_older_version_left_are_marked(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    rollback(state, "v1.0.0")
    with pytest.raises(UnknownVersionError, match=r"no earlier good champion than v1\.0\.0"):
        rollback(state)
    facts = listing.collect(state, None)
    assert [entry["rolled_back"] for entry in facts] == [False, True, True]
    listing.show(facts)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("left by a rollback") == 1
    assert shown.count("rolled back") == 1


@pytest.mark.parametrize("lost", ["manifest", "folder", "all but the manifest"])
def test_a_champion_that_was_lost_is_damage_and_not_an_empty_registry(
    state: State, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    promote(state, "v1.0.0")
    for version in ("v1.1.0", "v1.2.0"):
        shutil.rmtree(state.models / MODEL / version)
    folder = state.models / MODEL / "v1.0.0"
    for path in list(folder.iterdir()):
        if lost == "folder" or (path.name == manifest.MANIFEST) == (lost == "manifest"):
            path.unlink()
    if lost == "folder":
        folder.rmdir()
    problems = [str(found) for found in verification.verify(state, None) if found.problem]
    assert any("v1.0.0" in problem for problem in problems)
    (entry,) = listing.collect(state, None)
    assert (entry["version"], entry["champion"]) == ("v1.0.0", True)
    assert bool(entry["problem"]) == (lost != "manifest")
    listing.show([entry])
    assert "v1.0.0" in capsys.readouterr().out
