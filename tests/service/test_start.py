"""`make serve`'s program: the lines a person needs, a clean end, and clear words when it cannot."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from monitoring.watching.ports import free_port
from tests.server import PROJECT, environment, wait_for

pytestmark = pytest.mark.slow


def start(home: Path, port: int, output: Path) -> "subprocess.Popen[bytes]":
    with output.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "start.py", "--port", str(port)],
            cwd=PROJECT,
            env=environment(home),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def test_it_prints_three_curl_commands_that_work_and_ctrl_c_ends_it_with_0(home: Path) -> None:
    output = home / "start.txt"
    process = start(home, free_port(), output)
    try:
        wait_for(lambda: "/predict -d" in output.read_text(), 60, output.read_text)
        lines = [line.strip() for line in output.read_text().splitlines()]
        commands = [line for line in lines if line.startswith("curl ")]
        assert len(commands) == 3
        for line in commands:
            done = subprocess.run(
                [*shlex.split(line), "--fail", "--silent"], capture_output=True, text=True
            )
            assert done.returncode == 0, line
        assert '"risk_score"' in done.stdout
        assert "train" not in output.read_text()
    finally:
        # Ctrl-C reaches the whole foreground group, as a terminal sends it.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 0
    assert "Traceback" not in output.read_text()


def test_sigterm_ends_it_with_0(home: Path) -> None:
    output = home / "start.txt"
    process = start(home, free_port(), output)
    try:
        wait_for(lambda: "/predict -d" in output.read_text(), 60, output.read_text)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_busy_port_is_one_line(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "start.py", "--port", str(port)],
            cwd=PROJECT,
            env=environment(home),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(port) in done.stderr


def test_two_first_starts_at_once_make_one_champion_and_both_serve(home: Path) -> None:
    (home / "registry/champion.json").unlink()
    (home / "registry/history.jsonl").unlink()
    outputs = [home / "first.txt", home / "second.txt"]
    processes = [start(home, free_port(), output) for output in outputs]
    try:
        wait_for(lambda: all("/predict -d" in output.read_text() for output in outputs), 90)
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(20) for process in processes] == [0, 0]
    assert len((home / "registry/history.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(("fault", "named"), [("typo", "poll_ms"), ("file", "BENTOML_HOME")])
def test_a_wrong_configuration_or_home_is_one_line(tmp_path: Path, fault: str, named: str) -> None:
    home, extra = tmp_path / "home", {}
    if fault == "file":
        home.write_text("")
    else:
        text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
        (tmp_path / "typo.yaml").write_text(text.replace("poll_ms", "pol_ms"), encoding="utf-8")
        extra = {"DATATHON_CONFIGURATION": str(tmp_path / "typo.yaml")}
    done = subprocess.run(
        [sys.executable, "start.py", "--port", str(free_port())],
        cwd=PROJECT,
        env=environment(home, **extra),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert named in done.stderr
