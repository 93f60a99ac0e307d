"""What the guardrails refuse: a dry run's exit code tells it, a person's decision promotes it."""

import shlex
from typing import Any

import pytest

from registry import moves, pointer
from registry.register import register
from tests.server import command
from tests.training.places import Place, rows
from training import retraining
from training.retrain import main

pytestmark = pytest.mark.long


def test_the_guardrails_refuse_a_worse_challenger_which_stays_one(place: Place) -> None:
    worse = rows(place.folder, "worse.csv", wrong=(9, 10))
    before = place.state.champion.read_bytes()
    code, out, _ = place.run("--new_version", "v1.2.0", "--data", worse, "--promote")
    assert code == 4
    assert "Retraining is not worth it" in out
    assert "The guardrails fail: recall" in out
    assert "v1.2.0 is registered as a challenger and was not promoted" in out
    assert "keep v1.1.0, or promote it with --force --reason" in " ".join(out.split())
    assert place.state.champion.read_bytes() == before
    assert place.versions()[-1] == "v1.2.0"
    assert len(place.reports()) == 6

    # The same once more cannot promote it; what the last line says to run does.
    forced = ["--promote", "--force", "--reason", "decided"]
    code, _, err = place.run("--new_version", "v1.2.0", "--data", worse, *forced)
    assert (code, "v1.2.0 is registered already" in err) == (1, True)
    *_, line, page = out.splitlines()
    assert page.startswith("report: ")
    assert line.strip() == 'python -m registry promote --version v1.2.0 --force --reason "…"'
    command(place.state.home, *shlex.split(line)[2:])
    assert pointer.required(place.state).version == "v1.2.0"


def test_a_dry_run_ends_as_the_promote_would(place: Place, made: dict[str, Any]) -> None:
    worse = rows(place.folder, "worse.csv", wrong=(9, 10))
    dry = ["--new_version", "v1.2.0", "--dry-run"]
    code, out, _ = place.run(*dry, "--data", worse)
    assert code == 4
    assert "The guardrails fail: recall" in out
    assert "Nothing was registered (dry run): keep v1.1.0." in " ".join(out.split())
    code, out, _ = place.run(*dry, "--data", made["good"])
    assert code == 0
    assert "The guardrails pass" in out
    decided = ["--promote", "--force", "--reason", "decided"]  # which asks no guardrail
    assert place.run(*dry, "--data", worse, *decided)[0] == 0
    assert place.versions() == ["v1.0.0", "v1.1.0"]


def test_a_champion_that_came_meanwhile_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would have replaced v1.0.0, which has learnt the opposite; v1.1.0 it may not."""
    moves.rollback(place.state, version="v1.0.0", reason="drill")

    def overtaken(*arguments: Any, **named: Any) -> Any:
        moves.promote(place.state, model=None, version="v1.1.0", reason="somebody was faster")
        return register(*arguments, **named)

    monkeypatch.setattr(retraining, "register", overtaken)
    half = rows(place.folder, "half.csv", wrong=(10,))
    code = main(["--new_version", "v1.2.0", "--data", str(half), "--promote"])
    told = " ".join(capsys.readouterr().out.split())
    assert (code, "The guardrails pass" in told) == (4, True), told
    assert "not promoted: the champion was moved meanwhile, and the guardrails do not let" in told
    assert "place; keep the new champion, or promote it with --force --reason." in told
    assert pointer.required(place.state).version == "v1.1.0"
