"""Ctrl-C and SIGTERM on the running command, at every kind of step."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry import heartbeat, moves, pointer
from registry.heartbeat import Beat
from registry.state import State
from tests.training.places import Place, rows
from tests.training.tiny import configuration, content, trained
from training import artifacts, comparison_page, comparison_wording, retrain

pytestmark = pytest.mark.long

NOTHING = "stopped; nothing was registered or written\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Three slow candidates, and no version."""
    found = Place(tmp_path)
    found.temporary.mkdir()
    settings = content(
        candidates=["logistic_regression", "random_forest", "hist_gradient_boosting"],
        bootstrap_resamples=1500,
    )
    found.configuration.write_text(yaml.safe_dump(settings, sort_keys=False))
    return found


def stop_at(process: "subprocess.Popen[str]", step: str, number: signal.Signals) -> str:
    """Send the signal once the step is told, and a second one; what it said on stderr."""
    assert process.stdout is not None
    for line in process.stdout:
        if step in line:
            break
    else:
        pytest.fail(f"it never came to {step!r}")
    process.send_signal(number)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return err


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("compare random_forest", signal.SIGTERM),
        ("resamples", signal.SIGINT),
        ("register loans:v1.0.0", signal.SIGINT),
    ],
)
def test_a_signal_leaves_nothing_behind(place: Place, step: str, number: signal.Signals) -> None:
    data = rows(place.folder, "rows.csv")
    before = place.files()
    with place.start("--new_version", "v1.0.0", "--data", data, "--promote") as process:
        err = stop_at(process, step, number)
    assert (process.returncode, err) == (130, NOTHING)
    left = {path for path in place.files() - before if (place.folder / path).is_file()}
    assert left <= {"home/registry/.lock"}
    assert list(place.temporary.iterdir()) == []
    assert not place.state.staging.exists() or list(place.state.staging.iterdir()) == []
    assert place.versions() == []


def test_who_stops_it_after_the_commit_is_told_what_was_done(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signals in what is left to do then: the removal of the artefacts, the advice and the page."""
    place.configuration.write_text(yaml.safe_dump(content(), sort_keys=False))
    for name in ("BENTOML_HOME", "DATATHON_CONFIGURATION"):
        monkeypatch.setenv(name, place.variables[name])
    told: list[str] = []

    def interrupted(owner: Any, name: str) -> None:
        step = getattr(owner, name)

        def signalled(*arguments: Any) -> Any:
            told.append(name)
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), number)
            return step(*arguments)

        monkeypatch.setattr(owner, name, signalled)

    interrupted(comparison_wording, "next_step")
    interrupted(comparison_page, "render")
    monkeypatch.setattr(tempfile, "tempdir", str(place.temporary))
    interrupted(tempfile.TemporaryDirectory, "__exit__")
    data = rows(place.folder, "rows.csv")
    forced = ["--promote", "--force", "--reason", "a drill"]
    assert retrain.main(["--new_version", "v1.0.0", "--data", str(data), *forced]) == 0
    printed = capsys.readouterr()
    assert {"__exit__", "next_step", "render"} <= set(told)
    assert printed.err == ""
    assert "Promoted: loans: no champion → v1.0.0" in printed.out
    assert pointer.required(place.state).version == "v1.0.0"
    assert len(place.reports()) == 2
    assert list(place.temporary.iterdir()) == []


@pytest.fixture
def silent(place: Place) -> Iterator[State]:
    """A home with a champion and a worker that is alive and never gets ready."""
    state = place.state
    place.configuration.write_text(yaml.safe_dump(content(), sort_keys=False))
    folder = place.folder / "champion"
    artifacts.write(trained(), configuration(), {"name": "x", "sha256": "0", "rows": 1}, folder)
    (folder / "held_out.parquet").unlink()
    shutil.copytree(folder, state.models / "loans" / "v1.0.0")
    moves.promote(state, model=None, version="v1.0.0", reason="first")
    ended = threading.Event()
    beat = Beat("another-host", "", 1, version="v1.0.0", generation=1)

    def live() -> None:
        while not ended.wait(0.2):
            heartbeat.write(state, beat)

    thread = threading.Thread(target=live)
    thread.start()
    yield state
    ended.set()
    thread.join()


def test_who_stops_a_promote_is_told_that_the_version_is_registered(
    place: Place, silent: State
) -> None:
    data = rows(place.folder, "rows.csv")
    forced = ["--promote", "--force", "--reason", "a drill"]
    with place.start("--new_version", "v1.1.0", "--data", data, *forced) as process:
        assert process.stdout is not None
        while "promote loans" not in (line := process.stdout.readline()):
            assert line
        while pointer.required(silent).prepare is None:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "stopped; v1.1.0 was registered before\n"
    assert "v1.1.0 is registered as a challenger and was not promoted: stopped" in " ".join(
        out.split()
    )
    assert place.versions() == ["v1.0.0", "v1.1.0"]
    champion = pointer.required(silent)
    assert (champion.version, champion.prepare) == ("v1.0.0", None)
    assert len(place.reports()) == 2
    assert list(place.temporary.iterdir()) == []
