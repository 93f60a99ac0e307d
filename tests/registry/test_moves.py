"""Promote and rollback over versions made by hand."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from registry import history, manifest, moves, store, verification
from registry.errors import (
    IntegrityError,
    MovedError,
    RegistryError,
    UnknownVersionError,
    UsageError,
)
from registry.state import State
from tests.registry.handmade import (
    MODEL,
    champion,
    flip_byte,
    make_version,
    promote,
    rollback,
    tree_sha256,
)


def test_rollback_goes_back_one_good_version_at_a_time_and_then_exits_3(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    assert rollback(state) == "v1.1.0"
    assert rollback(state) == "v1.0.0"
    before = state.champion.read_bytes()
    with pytest.raises(UnknownVersionError, match=r"no earlier good champion than v1\.0\.0"):
        rollback(state)
    assert state.champion.read_bytes() == before


def test_rollback_of_nothing_exits_3(state: State) -> None:
    with pytest.raises(UnknownVersionError, match="nothing was ever promoted"):
        rollback(state)
    promote(state, "v1.0.0", "v1.0.0")
    with pytest.raises(UnknownVersionError, match="no earlier good champion"):
        rollback(state)


def test_rollback_to_what_serves_is_refused(state: State) -> None:
    moves.promote(state, model=None, version="v1.0.0", reason="")
    with pytest.raises(UsageError, match="serves already"):
        moves.rollback(state, version="v1.0.0", reason="5xx alto")
    assert len(history.read(state)) == 1


def test_rollback_never_returns_to_the_version_it_left(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.0.0")
    assert rollback(state) == "v1.1.0"
    with pytest.raises(UnknownVersionError):
        rollback(state)


def test_a_promote_makes_a_version_good_again(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    assert rollback(state) == "v1.0.0"
    promote(state, "v1.1.0", "v1.2.0")
    assert rollback(state) == "v1.1.0"
    assert rollback(state) == "v1.0.0"


def test_rollback_to_a_named_version_leaves_all_that_came_after_it(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    assert rollback(state, "v1.0.0") == "v1.0.0"
    with pytest.raises(UnknownVersionError):
        rollback(state)


def test_there_is_no_rollback_to_a_version_that_never_served(state: State) -> None:
    """No guardrail stands in its way, so it must not be a way around them."""
    promote(state, "v1.1.0", "v1.2.0")
    with pytest.raises(UnknownVersionError, match=r"v1\.0\.0 was never champion"):
        rollback(state, "v1.0.0")
    assert rollback(state) == "v1.1.0"


def test_a_version_that_was_made_anew_since_it_served_is_refused(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    folder = state.models / MODEL / "v1.1.0"
    (folder / "model.json").write_text('{"threshold": 0}')
    manifest.write(folder)
    for move in (rollback, lambda state: promote(state, "v1.1.0")):
        with pytest.raises(IntegrityError, match="not the one that was promoted"):
            move(state)
    assert champion(state)["version"] == "v1.2.0"


def test_rollback_goes_back_to_the_model_that_served(state: State) -> None:
    make_version(state, "v1.0.0", model="other-risk")
    promote(state, "v1.0.0")
    moves.promote(state, model="other-risk", version="v1.0.0", reason="")
    assert rollback(state) == "v1.0.0"
    assert champion(state)["model"] == MODEL


@pytest.mark.parametrize("seed", range(20))
def test_no_sequence_of_moves_rolls_back_to_a_version_that_was_left(seed: int) -> None:
    """Against the rule in its own words: a version left by rollback is bad until it is promoted."""
    draw = random.Random(seed)
    events: list[dict[str, Any]] = []
    bad: set[str] = set()
    for _ in range(60):
        good = history.good_champions(events)
        current = good[-1][1] if good else None
        if len(good) > 1 and draw.random() < 0.5:
            target = good[-2][1]
            assert target not in bad
            assert target != current
            assert current is not None
            bad.add(current)
            events.append({"model": "m", "action": "rollback", "to": target})
        else:
            version = draw.choice(["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"])
            bad.discard(version)
            events.append({"model": "m", "action": "promote", "to": version})
        assert history.good_champions(events)[-1] == ("m", events[-1]["to"])


@pytest.mark.parametrize(
    "version",
    [
        "v1.1",
        "v1.10.0",
        "v1",
        "latest",
        "v1.1.0\n",
        "V1.1.0",
        ".",
        "..",
        "",
        "v1.1.0-rc.1",
        "v1.1.*",
    ],
)
def test_only_an_exact_registered_version_can_be_promoted(state: State, version: str) -> None:
    promote(state, "v1.0.0")
    before = state.champion.read_bytes()
    with pytest.raises(UnknownVersionError, match=r"nearest is v1\.\d\.0"):
        promote(state, version)
    with pytest.raises(UnknownVersionError, match=r"nearest is v1\.\d\.0"):
        rollback(state, version)
    assert state.champion.read_bytes() == before


@pytest.mark.parametrize("wanted", ["v1.1", "v1.1.0", "v1.10"])
def test_a_part_of_a_version_does_not_resolve(tmp_path: Path, wanted: str) -> None:
    state = State(tmp_path)
    make_version(state, "v1.10.0")
    make_version(state, "v1.1.0-rc.1")
    with pytest.raises(UnknownVersionError):
        store.get(state, MODEL, wanted)


def test_versions_are_listed_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    state = State(tmp_path)
    order = ["v1.2.0-rc.2", "v1.2.0-rc.10", "v1.2.0", "v1.9.0", "v1.10.0"]
    for version in reversed(order):
        make_version(state, version)
    (state.models / MODEL / "latest").write_text("v1.2.0")
    (state.models / MODEL / "a1b2c3").mkdir()
    assert [str(stored.version) for stored in store.versions(state, MODEL)] == order


@pytest.mark.parametrize("name", ["..", ".", f"./{MODEL}", "a/b", "Risk"])
def test_a_models_name_cannot_lead_out_of_the_store(state: State, name: str) -> None:
    with pytest.raises(UsageError):
        moves.promote(state, model=name, version="v1.0.0", reason="")
    assert not state.champion.exists()


def test_a_version_is_found_whosever_it_is(state: State) -> None:
    make_version(state, "v3.0.0", model="other-risk")
    (state.models / "foreign" / "v1.0.0").mkdir(parents=True)
    assert moves.promote(state, model=None, version="v3.0.0", reason="").model == "other-risk"
    assert moves.promote(state, model=None, version="v1.0.0", reason="").model == MODEL
    with pytest.raises(UnknownVersionError):
        moves.promote(state, model=MODEL, version="v3.0.0", reason="")


@pytest.mark.parametrize("name", ["pipeline.skops", "manifest.json", "metrics.json"])
def test_a_flipped_byte_stops_promote_and_rollback(state: State, name: str) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    before = tree_sha256(state.registry)
    for version in ("v1.0.0", "v1.2.0"):
        flip_byte(state.models / MODEL / version / name)
    with pytest.raises(IntegrityError) as caught:
        promote(state, "v1.2.0")
    assert caught.value.exit_code == 6
    with pytest.raises(IntegrityError):
        rollback(state)
    assert tree_sha256(state.registry) == before


def test_a_version_without_its_manifest_is_damaged_not_unknown(state: State) -> None:
    (state.models / MODEL / "v1.2.0" / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match=r"no readable manifest\.json"):
        promote(state, "v1.2.0")


def test_dry_run_says_what_would_happen_and_changes_nothing(state: State) -> None:
    before = tree_sha256(state.home)
    move = moves.promote(state, model=None, version="v1.0.0", reason="", dry_run=True)
    assert (move.before, move.after, move.generation) == (None, "v1.0.0", 1)
    assert move.champion is None
    assert tree_sha256(state.home) == before
    promote(state, "v1.0.0", "v1.1.0")
    before = tree_sha256(state.home)
    move = moves.rollback(state, version=None, reason="", dry_run=True)
    assert (move.before, move.after, move.generation) == ("v1.1.0", "v1.0.0", 3)
    assert tree_sha256(state.home) == before


def test_every_error_has_an_exit_code_and_one_line(state: State) -> None:
    for version in ("v9.0.0", "..", "v1.0.0\n"):
        with pytest.raises(RegistryError) as caught:
            promote(state, version)
        assert caught.value.exit_code in range(1, 8)
        assert "\n" not in str(caught.value)


def test_two_people_who_roll_back_at_once_go_back_one_version(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    monkeypatch.setenv("LOGNAME", "alice")
    assert rollback(state) == "v1.1.0"
    monkeypatch.setenv("LOGNAME", "bob")
    with pytest.raises(MovedError, match=r"alice rolled back to v1\.1\.0 \d s ago.*--version"):
        rollback(state)
    assert champion(state)["version"] == "v1.1.0"
    assert rollback(state, "v1.0.0") == "v1.0.0"  # named
    promote(state, "v1.2.0")
    monkeypatch.setenv("LOGNAME", "alice")
    assert rollback(state) == "v1.0.0"  # the last move was a promote
    promote(state, "v1.1.0")
    assert rollback(state) == "v1.0.0"


def test_a_target_that_is_not_in_the_store_is_named_with_the_one_before_it(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    shutil.move(state.models / MODEL / "v1.1.0", state.home / "elsewhere")
    with pytest.raises(UnknownVersionError, match=r"v1\.1\.0, is not in.*--version v1\.0\.0"):
        rollback(state)
    problems = {found.what: found.problem for found in verification.verify(state, None)}
    assert "--version v1.0.0" in (problems["rollback"] or "")
    shutil.move(state.models / MODEL / "v1.0.0", state.home / "elsewhere-2")
    with pytest.raises(UnknownVersionError, match="no earlier one is"):
        rollback(state)
