"""`python -m monitoring.status` as a process: exit codes, one document, Ctrl-C."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitoring.status import remedies
from monitoring.watching.ports import free_port
from registry.state import State
from tests.registry.handmade import make_version, promote
from tests.server import PROJECT, command, environment
from tests.unprivileged import AS_OWNER

STATUS = "monitoring.status"


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Two versions that were champion."""
    made = State(tmp_path / "home")
    for version in ("v1.0.0", "v1.1.0"):
        make_version(made, version)
        promote(made, version)
    return made


def test_nothing_to_look_at_cannot_be_told(tmp_path: Path) -> None:
    home = tmp_path / "none"
    done = command(home, STATUS, "--url", nowhere(), check=False)
    assert done.returncode == 3
    assert done.stdout.startswith("INCONCLUSIVE")
    assert done.stderr == ""
    assert not home.exists()


def test_a_service_that_is_gone_is_red_and_soon_told(state: State) -> None:
    began = time.monotonic()
    done = command(state.home, STATUS, "--json", "--url", nowhere(), check=False)
    assert time.monotonic() - began < 5.0  # 0.5 s where nothing else runs
    assert (done.returncode, done.stderr) == (20, "")
    content = strict(done.stdout)
    assert content["status"] == "red"
    assert content["findings"][0]["alert"] == "DatathonDown"
    assert content["standing"]["champion"]["version"] == "v1.1.0"
    assert content["standing"]["rollback"]["version"] == "v1.0.0"
    assert content["health"]["problem"] == "connection refused"


def test_the_rollback_that_is_advised_can_be_run(state: State) -> None:
    advised = remedies.rollback("5xx alto")
    (dry, *words), (_, *done) = (shlex.split(text)[2:] for text in advised)
    assert dry == "registry"
    assert "v1.1.0 → v1.0.0" in command(state.home, dry, *words).stdout
    assert command(state.home, STATUS, "--url", nowhere(), check=False).returncode == 20
    command(state.home, dry, *done)
    content = command(state.home, STATUS, "--json", "--url", nowhere(), check=False).stdout
    champion = strict(content)["standing"]["champion"]
    assert (champion["version"], champion["action"]) == ("v1.0.0", "rollback")
    assert champion["reason"] == "5xx alto"


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_only_light_things_are_imported() -> None:
    code = (
        "import sys, monitoring.status.__main__;"
        "print({'pandas', 'scipy', 'sklearn', 'bentoml', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "ftp://x"),
        ("--url", "http://"),
        ("--url", "http:/x"),
        ("--url", ":8000"),
        ("--url", "http://x:99999"),
        ("--url", "http://[x"),
        ("--seconds", "-1"),
        ("--seconds", "nan"),
        ("--nonsense",),
    ],
)
def test_a_wrong_call_is_told_in_a_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = command(tmp_path, STATUS, *arguments, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_home_that_is_a_file_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = command(tmp_path / "file", STATUS, "--url", nowhere(), check=False)
    assert done.returncode == 2
    assert "is a file" in done.stderr


def test_a_wrong_configuration_is_a_finding(state: State, tmp_path: Path) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text("contact: {}\n")
    done = command(
        state.home, STATUS, "--json", "--url", nowhere(), check=False,
        DATATHON_CONFIGURATION=str(path),
    )  # fmt: skip
    assert done.returncode == 20
    sentences = [finding["sentence"] for finding in strict(done.stdout)["findings"]]
    assert [text for text in sentences if "did you mean `contacts`" in text]


def test_contacts_are_shown_and_an_empty_one_is_loud(state: State, tmp_path: Path) -> None:
    path = tmp_path / "configuration.yaml"
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    assert '  on_call: ""' in text
    path.write_text(text.replace('  on_call: ""', '  on_call: "Ana, +55 11 5555 0100"'))
    done = command(
        state.home, STATUS, "--url", nowhere(), check=False, DATATHON_CONFIGURATION=str(path)
    )
    assert "call on call: Ana, +55 11 5555 0100" in done.stdout
    assert "NO TECH LEAD CONTACT" in done.stdout
    assert "NO ON CALL CONTACT" not in done.stdout


@pytest.fixture
def open_to_all() -> Iterator[State]:
    """A state in a place that everybody may go to, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        (home / "registry/workers").mkdir(parents=True)
        yield State(home)


@pytest.mark.parametrize("closed", ["registry", "registry/workers", "."])
def test_whoever_may_not_look_into_a_folder_is_told_so(open_to_all: State, closed: str) -> None:
    state = open_to_all
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("NOT TESTED, another user: needs root and setpriv (install util-linux)")
    probe = [*AS_OWNER, sys.executable, "-c", "import rich, yaml, prometheus_client"]
    if subprocess.run(probe, cwd=PROJECT, capture_output=True).returncode != 0:
        pytest.skip("NOT TESTED, another user: this Python is root's alone; install it for all")
    (state.home / closed).chmod(0o700)
    done = subprocess.run(
        [*AS_OWNER, sys.executable, "-m", STATUS, "--url", nowhere()],
        cwd=PROJECT, env=environment(state.home), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 20
    assert "Permission denied" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_without_a_word(state: State, sent: signal.Signals) -> None:
    watch = subprocess.Popen(
        [sys.executable, "-m", STATUS, "--watch", "--json", "--url", nowhere()],
        cwd=PROJECT, env=environment(state.home), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert strict(watch.stdout.readline())["status"] == "red"
        began = time.monotonic()
        assert strict(watch.stdout.readline())["status"] == "red"
        assert time.monotonic() - began > 1.0  # it waits, though nothing answers
        watch.send_signal(sent)
        assert watch.wait(10) == 130
        assert watch.stderr.read() == ""


def test_watching_stays_in_place_on_a_terminal(state: State) -> None:
    ours, theirs = os.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-m", STATUS, "--watch", "--url", nowhere()],
        cwd=PROJECT, env=environment(state.home, TERM="xterm-256color", COLUMNS="80", LINES="40"),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 20
    while seen.count(b"Act now.") < 2 and time.monotonic() < deadline:
        seen += os.read(ours, 65536)
    assert seen.count(b"Act now.") >= 2
    os.write(ours, b"\x03")
    os.kill(watch.pid, signal.SIGINT)
    assert watch.wait(10) == 130
    seen += os.read(ours, 65536)
    os.close(ours)
    assert b"\x1b[?1049h" in seen  # the other screen, and back
    assert b"\x1b[?1049l" in seen
    assert b"Traceback" not in seen


def last_frame(state: State, *arguments: str, **extra: str) -> list[str]:
    """The lines of a --watch on a terminal, as it last drew them whole."""
    ours, theirs = os.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-m", STATUS, "--watch", *arguments],
        cwd=PROJECT, env=environment(state.home, TERM="xterm-256color", **extra),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 20
    while seen.count(b"Act now.") < 2 and time.monotonic() < deadline:
        seen += os.read(ours, 65536)
    watch.terminate()
    assert watch.wait(10) == 130
    os.close(ours)
    frame = next(f for f in seen.split(b"\x1b[H") if b"Act now." in f)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame.decode()).splitlines()


def test_a_low_terminal_shows_what_to_do_whole(state: State, tmp_path: Path) -> None:
    configuration = tmp_path / "configuration.yaml"
    configuration.write_text("contact: {}\n")
    extra = {"DATATHON_CONFIGURATION": str(configuration)}
    first, _, last = state.history.read_text().partition("\n")
    state.history.write_text(first.replace('"generation":1', '"generation":1,"x":1') + "\n" + last)
    words = ("--url", nowhere())
    content = strict(command(state.home, STATUS, "--json", *words, check=False, **extra).stdout)
    assert len(content["findings"]) == 3
    lines = last_frame(state, *words, **extra, COLUMNS="80", LINES="24")
    assert len(lines) == 24
    drawn = "".join("".join(lines).split())
    for place, finding in enumerate(content["findings"]):
        for told in (finding["sentence"], *finding["commands"][: None if place == 0 else 1]):
            assert "".join(told.split()) in drawn, told
    assert "champion" in drawn  # and as many of the facts as there is room for


def test_the_scheme_of_a_url_may_be_left_out(state: State) -> None:
    url = nowhere()
    done = command(state.home, STATUS, "--json", "--url", url.removeprefix("http://"), check=False)
    assert strict(done.stdout)["health"]["url"] == url


def test_a_pipe_that_closes_early_is_no_traceback(state: State) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-m", STATUS, "--url", nowhere()],
        cwd=PROJECT, env=environment(state.home), stdout=theirs, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(theirs)
    assert done.stderr == ""
