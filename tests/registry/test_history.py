"""The chained history: what crashes and edits do to it, and what `verify` says."""

import pytest

from registry import history, pointer, verification
from registry.state import State
from tests.registry.handmade import (
    MODEL,
    assert_chained,
    champion,
    crash_after_pointer,
    flip_byte,
    history_lines,
    promote,
    rollback,
)


def test_generations_grow_by_one_and_the_history_is_chained(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0", "v1.2.0")
    rollback(state)
    assert champion(state)["generation"] == 5
    assert [line["to"] for line in history_lines(state)] == [
        *("v1.0.0", "v1.1.0", "v1.2.0", "v1.2.0"),
        "v1.1.0",
    ]
    assert_chained(state)


def test_a_crash_between_pointer_and_history_is_repaired_by_the_next_command(state: State) -> None:
    promote(state, "v1.0.0")
    lost = crash_after_pointer(state, "v1.1.0")
    assert [event["to"] for event in pointer.events(state)] == ["v1.0.0", "v1.1.0"]
    promote(state, "v1.2.0")
    assert state.history.read_bytes().splitlines(keepends=True)[1] == lost
    assert champion(state)["generation"] == 3
    assert champion(state)["event"]["from"] == "v1.1.0"
    assert_chained(state)


def test_rollback_counts_a_move_that_only_the_pointer_knows(state: State) -> None:
    promote(state, "v1.0.0")
    crash_after_pointer(state, "v1.1.0")
    assert rollback(state) == "v1.0.0"
    assert_chained(state)


def test_verify_repairs_the_history_too(state: State) -> None:
    promote(state, "v1.0.0")
    lost = crash_after_pointer(state, "v1.1.0")
    assert [finding.problem for finding in verification.verify(state, MODEL)] == [None] * 5
    assert state.history.read_bytes().endswith(lost)


@pytest.mark.parametrize(
    "line",
    [b"[" * 100_000, b'{"reason":"\\ud800"', b'{"model":"../x"', b'{"to":"v1"'],
    ids=["nested too deep", "half a character", "another folder", "no version"],
)
def test_a_line_that_no_program_of_ours_wrote_is_a_finding_of_verify(
    state: State, line: bytes
) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    first, *rest = state.history.read_bytes().splitlines(keepends=True)
    if line.startswith(b"{"):
        key = line[1:].partition(b":")[0]
        line = line + b"," + first.strip()[1:].replace(key, b'"was"')
    state.history.write_bytes(b"".join([line + b"\n", *rest]))
    problems = [finding.problem for finding in verification.verify(state, MODEL)]
    assert [problem for problem in problems if problem] == ["the chain breaks at generation 2"]


@pytest.mark.parametrize("kept", [0, 1, 40, -2, -1])
def test_a_torn_last_line_of_the_history_is_repaired(state: State, kept: int) -> None:
    promote(state, "v1.0.0")
    lost = crash_after_pointer(state, "v1.1.0")
    with state.history.open("ab") as stream:
        stream.write(lost[:kept])
    promote(state, "v1.2.0")
    assert [line["to"] for line in history_lines(state)] == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert_chained(state)


def test_verify_names_an_edited_missing_or_reordered_line(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0", "v1.2.0")
    one, two, three = state.history.read_bytes().splitlines(keepends=True)
    for lines, generation in (
        ([one.replace(b'"reason":""', b'"reason":"x"'), two, three], 2),
        ([one, three], 3),
        ([one, three, two], 3),
        ([two, three], 2),
    ):
        state.history.write_bytes(b"".join(lines))
        problems = [str(f.problem) for f in verification.verify(state, MODEL) if f.problem]
        assert any(f"the chain breaks at generation {generation}" in text for text in problems)


def test_verify_holds_the_last_line_against_the_pointer(state: State) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    edited = state.history.read_bytes().replace(b'"to":"v1.1.0"', b'"to":"v1.2.0"')
    state.history.write_bytes(edited)
    found = {f.what: f.problem for f in verification.verify(state, MODEL) if f.problem}
    assert found["history of 2 move(s)"] == "its last move is not the one of champion.json"


def test_verify_names_what_is_damaged_and_nothing_else(state: State) -> None:
    promote(state, "v1.1.0")
    assert all(finding.problem is None for finding in verification.verify(state, MODEL))
    flip_byte(state.models / MODEL / "v1.0.0" / "pipeline.skops")
    (state.models / MODEL / "v1.2.0" / "manifest.json").unlink()
    found = {f.what: f.problem for f in verification.verify(state, MODEL) if f.problem}
    assert found.keys() == {f"{MODEL}:v1.0.0", f"{MODEL}:v1.2.0"}
    assert "pipeline.skops" in str(found[f"{MODEL}:v1.0.0"])


def test_verify_sees_a_champion_with_a_new_manifest_and_a_missing_bento(state: State) -> None:
    promote(state, "v1.1.0")
    folder = state.models / MODEL / "v1.1.0"
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b"\n")
    (state.bentos / "v1.0.0" / "bento.yaml").unlink()
    found = {f.what: str(f.problem) for f in verification.verify(state, MODEL) if f.problem}
    assert found.keys() == {f"{MODEL}:v1.0.0", f"{MODEL}:v1.1.0", "champion"}
    assert "its Bento is missing" in found[f"{MODEL}:v1.0.0"]
    assert "not the one that was promoted" in found["champion"]


@pytest.mark.parametrize("reason", ['ação → [/b] {x} "q" \\ \n', "bytes \udcff", "x" * 10_000])
def test_any_reason_is_stored_and_chained(state: State, reason: str) -> None:
    promote(state, "v1.0.0", reason=reason)
    promote(state, "v1.1.0")
    assert_chained(state)
    assert history_lines(state)[0]["reason"] == reason.replace("\udcff", "?")


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        ("", ""),
        ("+1 +2", ""),
        ("+1 +2 -1", "2"),
        ("+1 +2 -1 +2", ""),
        ("+1 +2 -1 +3", "2"),
        ("+1 +2 +3 -2 -1", "2 3"),
        ("+1 +2 +3 -1", "2 3"),
        ("+1 +2 +3 -1 +2", "3"),
        ("+1 +2 -1 -2", "1"),
    ],
)
def test_a_rollback_leaves_all_that_came_after_its_target_until_that_is_promoted(
    moves: str, left: str
) -> None:
    events = [
        {"model": "m", "action": "promote" if move[0] == "+" else "rollback", "to": move[1]}
        for move in moves.split()
    ]
    assert history.left_champions(events) == {("m", version) for version in left.split()}
