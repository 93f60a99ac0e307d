"""`python -m registry` as a person types it, over versions made by hand."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.__main__ import main
from registry.state import PROJECT, State
from tests.registry.handmade import MODEL, flip_byte, make_version, tree_sha256
from tests.server import command


@pytest.fixture
def home(state: State, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setenv("BENTOML_HOME", str(state.home))
    return state


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as error:  # argparse's way out
        return int(error.code or 0)


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What `--json` printed, and nothing beside it."""
    assert run(*arguments, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def process(state: State, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    done = command(state.home, "registry", *arguments, check=False, **extra)
    assert "Traceback" not in done.stderr
    return done


FORCED = ["promote", "--force", "--reason", "made by hand", "--version"]
"""There is no pipeline in these versions that a guardrail could score."""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["promote", "--version", "v1.0.0", "--force"], 2),
        (["promote", "--version", "v1.0.0", "--force", "--reason", " "], 2),
        (["shadow", "--version", "v1.0.0", "--off"], 2),
        (["shadow", "--version", "v9.0.0"], 3),
        (["shadow", "--version", "v1.0.0"], 3),
        (["demote"], 2),
        (["promote"], 2),
        (["promote", "--version"], 2),
        (["promote", "--version", "v1.0.0", "--forced"], 2),
        (["promote", "v1.0.0"], 2),
        (["rollback"], 2),
        (["rollback", "--reason"], 2),
        (["rollback", "--reason", ""], 2),
        (["rollback", "--reason", " \t"], 2),
        (["rollback", "--version", "v1.0.0", "--reason", "", "--dry-run"], 2),
        (["register", "--artifacts", "x"], 2),
        (["register", "--version", "v1.2", "--artifacts", "x"], 2),
        (["register", "--version", "v2.0.0", "--artifacts", "no/such/folder"], 2),
        (["list", "--model", ".."], 2),
        (["promote", "--version", "v9.0.0"], 3),
        (["promote", "--version", "latest"], 3),
        (["promote", "--version", ".."], 3),
        (["promote", "--version", "v1.0.0\n"], 3),
        (["promote", "--version", "v1.0.0", "--model", "none-such"], 3),
        (["rollback", "--reason", "x"], 3),
        (["rollback", "--version", "v9.0.0", "--reason", "x"], 3),
        (["champion"], 3),
        (["verify"], 0),
        (["list"], 0),
        (["history"], 0),
        (["shadow"], 0),
        (["shadow", "--off"], 0),
        (["--help"], 0),
        (["rollback", "--help"], 0),
    ],
)
def test_exit_codes_and_no_traceback(state: State, arguments: list[str], code: int) -> None:
    before = tree_sha256(state.models)
    done = process(state, *arguments)
    assert done.returncode == code, done.stderr
    assert (done.stdout == "") == (code != 0)
    assert (done.stderr == "") == (code == 0)
    assert tree_sha256(state.models) == before
    assert not state.champion.exists()


def test_an_unknown_version_names_the_nearest(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("promote", "--version", "v1.1.1") == 3
    assert "nearest is v1.1.0" in capsys.readouterr().err


def test_nothing_registered_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "none"))
    for arguments in (["list"], ["verify"], ["promote", "--version", "v1.0.0"]):
        assert run(*arguments) == 3
        assert "python -m registry register" in capsys.readouterr().err
    assert run("history") == 0
    assert not (tmp_path / "none").exists()


def test_flags_take_underscores_and_dashes_alike(home: State) -> None:
    for flag in ("--dry_run", "--dry-run"):
        assert run("promote", "--version", "v1.0.0", "--force", flag, "--reason=under_score") == 0
        assert not home.champion.exists()
    assert run("promote", "--version=v1.0.0", "--force", "--reason=under_score") == 0
    assert json.loads(home.champion.read_bytes())["event"]["reason"] == "under_score"


def test_a_round_of_commands_and_their_json(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        moved = output(capsys, *FORCED, version)
    assert moved.pop("seconds") < 1
    assert moved == {
        "action": "promote",
        "model": MODEL,
        "from": "v1.0.0",
        "to": "v1.1.0",
        "generation": 2,
        "done": True,
        "workers": 0,
        "resident": 0,
        "verdict": {"status": "skipped", "forced": True},
    }
    assert output(capsys, "rollback", "--reason", "drill", "--dry-run") == moved | {
        "action": "rollback",
        "from": "v1.1.0",
        "to": "v1.0.0",
        "generation": 3,
        "done": False,
        "seconds": 0,
        "verdict": None,
    }
    assert output(capsys, "rollback", "--reason", "drill")["to"] == "v1.0.0"
    assert output(capsys, "champion") == json.loads(home.champion.read_bytes())
    events = output(capsys, "history")
    assert [event["to"] for event in events] == ["v1.0.0", "v1.1.0", "v1.0.0"]
    assert output(capsys, "history", "--model", "other-risk") == []
    listed = output(capsys, "list")
    assert [(entry["version"], entry["champion"]) for entry in listed] == [
        *(("v1.0.0", True), ("v1.1.0", False)),
        ("v1.2.0", False),
    ]
    assert listed[0]["metrics"]["recall"] == {"value": 0.8, "low": 0.7, "high": 0.9}
    assert {finding["problem"] for finding in output(capsys, "verify")} == {None}
    assert run("champion", "--model", "other-risk") == 3


def test_the_tables_show_every_version_and_move(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "[/b] [red]text[/red]"
    assert run("promote", "--version", "v1.1.0", "--force", "--reason", reason) == 0
    assert "no service is running" in capsys.readouterr().out
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if "v1." in line]
    assert [next(v for v in line.split() if v.startswith("v1")) for line in shown] == [
        *("v1.2.0", "v1.1.0", "v1.0.0")
    ]
    assert ["★" in line for line in shown] == [False, True, False]
    assert all(line.count("0.800") == 3 for line in shown)
    assert max(map(len, lines)) <= 100
    assert sum(line.count("0.700–0.900") for line in lines) == 9
    assert run("history") == 0
    moves = capsys.readouterr().out
    assert "[/b]" in moves
    assert "forced" in moves


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"{}", b'{"metrics": {}}', b'{"metrics": {"recall": 1}}', b'{"metrics": []}'],
)
def test_a_damaged_version_does_not_hide_the_others(
    home: State, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (home.models / MODEL / "v1.1.0" / "metrics.json").write_bytes(content)
    listed = output(capsys, "list")
    assert [bool(entry["problem"]) for entry in listed] == [False, True, False]
    assert run("list") == 0
    assert "damaged" in capsys.readouterr().out
    assert run("verify") == 6
    assert f"BROKEN  {MODEL}:v1.1.0: " in capsys.readouterr().out


def test_a_flipped_byte_exits_6_and_leaves_the_champion(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*FORCED, "v1.0.0")
    run(*FORCED, "v1.1.0")
    flip_byte(home.models / MODEL / "v1.0.0" / "pipeline.skops")
    before = tree_sha256(home.registry)
    capsys.readouterr()
    for arguments in ([*FORCED, "v1.0.0"], ["rollback", "--reason", "x"]):
        assert run(*arguments) == 6
        assert "pipeline.skops" in capsys.readouterr().err
    assert tree_sha256(home.registry) == before
    assert run("verify") == 6
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("BROKEN")] == [
        line for line in out.splitlines() if f"{MODEL}:v1.0.0" in line
    ]


@pytest.mark.parametrize("content", [b'{"torn', b"", None])
def test_a_lost_pointer_is_named_and_verify_writes_it_anew(
    home: State, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    run(*FORCED, "v1.0.0")
    run(*FORCED, "v1.1.0")
    whole = home.champion.read_bytes()
    home.champion.unlink()
    if content is not None:
        home.champion.write_bytes(content)
    capsys.readouterr()
    assert run("champion") == (3 if content is None else 6)
    assert "python -m registry verify" in capsys.readouterr().err
    assert run("list") == 0
    assert run("history") == 0
    assert run("verify") == 0
    assert "written anew from the history" in capsys.readouterr().out
    assert home.champion.read_bytes() == whole


def test_a_damaged_pointer_without_a_history_is_set_aside_and_a_promote_begins_anew(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    home.registry.mkdir()
    home.champion.write_bytes(b'{"torn')
    for refused in (["champion"], [*FORCED, "v1.0.0"], ["rollback", "--reason", "x"]):
        assert run(*refused) in (3, 6)
    assert "python -m registry verify" in capsys.readouterr().err
    assert run("verify") == 0
    aside = home.champion.with_name("champion.json.damaged")
    assert f"it is {aside} now; promote a version" in capsys.readouterr().out
    assert aside.read_bytes() == b'{"torn'
    assert run(*FORCED, "v1.0.0") == 0
    assert run("verify") == 0
    for number in (2, 3):  # none in the place of another
        home.history.unlink(missing_ok=True)
        home.champion.write_bytes(b"%d" % number)
        assert run("verify") == 0
        assert f"it is {aside}-{number} now" in capsys.readouterr().out
    contents = [path.read_bytes() for path in sorted(home.registry.glob("*.damaged*"))]
    assert contents == [b'{"torn', b"2", b"3"]


def test_a_pointer_is_not_written_anew_from_a_history_that_was_edited(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*FORCED, "v1.0.0")
    run(*FORCED, "v1.1.0")
    home.history.write_text(home.history.read_text().replace('"generation":1', '"generation":3'))
    home.champion.write_bytes(b"{")
    assert run("verify") == 6
    assert home.champion.read_bytes() == b"{"
    assert run(*FORCED, "v1.2.0") == 0


def test_promoting_the_champion_again_changes_nothing(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*FORCED, "v1.0.0")
    before = tree_sha256(home.registry)
    capsys.readouterr()
    assert run(*FORCED, "v1.0.0") == 0
    assert "the champion already" in capsys.readouterr().out
    assert tree_sha256(home.registry) == before


def test_list_shows_when_a_version_was_champion_and_that_it_was_rolled_back(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        run(*FORCED, version)
    run("rollback", "--reason", "5xx alto")
    run("shadow", "--version", "v1.2.0")
    capsys.readouterr()
    first, second, third = output(capsys, "list")
    assert [entry["rolled_back"] for entry in (first, second, third)] == [False, True, False]
    assert [entry["challenger"] for entry in (first, second, third)] == [False, False, True]
    assert [term["generation"] for term in first["terms"]] == [1, 3]
    assert [term["ended_by"] for term in first["terms"]] == ["promote", None]
    assert [term["ended_by"] for term in second["terms"]] == ["rollback"]
    assert third["terms"] == []
    run("list")
    shown = capsys.readouterr().out
    assert "rolled" in shown
    assert "challenger" in shown


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"model":' * 100_000])
def test_a_challenger_that_is_nested_too_deep_is_no_traceback(state: State, content: bytes) -> None:
    state.registry.mkdir()
    state.challenger.write_bytes(content)
    assert process(state, "list").returncode == 0
    told = process(state, "shadow")
    assert (told.returncode, told.stderr.count("\n")) == (6, 1)
    assert "shadow --off" in told.stderr


def test_the_shadow_is_chosen_told_and_ended(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*FORCED, "v1.0.0")
    assert run("shadow", "--version", "v1.0.0") == 2  # the champion cannot be its own challenger
    assert "another version" in capsys.readouterr().err
    assert output(capsys, "shadow", "--version", "v1.1.0", "--dry-run")["done"] is False
    assert not home.challenger.exists()
    chosen = output(capsys, "shadow", "--version", "v1.1.0")["challenger"]
    assert chosen.items() <= json.loads(home.challenger.read_bytes()).items()
    assert output(capsys, "shadow")["challenger"] == chosen
    home.challenger.write_bytes(b"{")
    assert run("shadow") == 6
    assert "--off" in capsys.readouterr().err
    assert output(capsys, "shadow", "--off")["challenger"] is None
    assert not home.challenger.exists()
    run("shadow", "--version", "v1.1.0")
    run(*FORCED, "v1.1.0")  # who has become the champion is in nobody's shadow
    assert not home.challenger.exists()


def test_list_shows_every_model_or_the_one_asked_for(
    home: State, capsys: pytest.CaptureFixture[str]
) -> None:
    make_version(home, "v3.0.0", model="other-risk")
    assert run("list", "--json") == 0
    listed = {(entry["model"], entry["version"]) for entry in json.loads(capsys.readouterr().out)}
    assert {("other-risk", "v3.0.0"), (MODEL, "v1.0.0")} <= listed
    assert run("list", "--json", "--model", "other-risk") == 0
    assert [entry["version"] for entry in json.loads(capsys.readouterr().out)] == ["v3.0.0"]


def test_a_home_that_is_a_file_is_no_traceback(tmp_path: Path, state: State) -> None:
    path = tmp_path / "file"
    path.write_text("")
    assert process(State(path), "promote", "--version", "v1.0.0").returncode == 2
    state.registry.write_text("")
    done = process(state, *FORCED, "v1.0.0")
    assert done.returncode in (1, 6)
    assert "registry" in done.stderr


def test_a_terminal_without_arrows_fails_no_move(state: State) -> None:
    for arguments in ([*FORCED, "v1.0.0"], ["list"], ["history"], ["champion"], ["shadow"]):
        assert process(state, *arguments, PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["rollback", "--reason", "x"],
        [*FORCED, "v1.0.0"],
        ["shadow", "--version", "v1.0.0"],
        ["champion"],
        ["verify"],
    ],
)
def test_moving_the_pointer_needs_the_standard_library_only(
    home: State, arguments: list[str]
) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        assert run(*FORCED, version) == 0
    script = (
        "import sys\n"
        "from registry.__main__ import main\n"
        "code = main()\n"
        "allowed = set(sys.stdlib_module_names) | {'registry', '__main__', 'sitecustomize'}\n"
        "loaded = {name.partition('.')[0] for name in sys.modules} - allowed\n"
        "print(sorted(name for name in loaded if not name.startswith(('_', 'editable'))))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
