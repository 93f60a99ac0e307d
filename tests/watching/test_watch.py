"""`python -m monitoring.watch`, with a terminal's Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import tools
from tests.server import PROJECT, command, environment, wait_for
from tests.watching.exposing import Exposing

pytestmark = pytest.mark.incident


@pytest.fixture
def service() -> Iterator[Exposing]:
    with Exposing("datathon_champion_generation 1\n") as running:
        yield running


def started(home: Path, target: str, log: Path) -> "subprocess.Popen[bytes]":
    """The command in a process group of its own, as a shell starts it."""
    for name in ("prometheus", "prometheus-alertmanager"):
        tools.tool(name)
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "monitoring.watch", "--target", target],
            cwd=PROJECT, env=environment(home), stdout=stream, stderr=stream, process_group=0,
        )  # fmt: skip


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_clean_with_all_that_it_started(
    tmp_path: Path, service: Exposing, number: signal.Signals
) -> None:
    log = tmp_path / "watch.log"
    process = started(tmp_path, service.address, log)
    try:
        wait_for(lambda: "nothing fires" in log.read_text(), 40, log.read_text)
        ours = children(process.pid)
        assert len(ours) == 2
        os.killpg(process.pid, number)  # to the whole group, as a terminal does
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]
    text = log.read_text()
    assert "Traceback" not in text
    assert f"watching {service.address}" in text
    assert "DATATHON_ONCALL_URL is not set" in text
    assert text.splitlines()[-1] == "stopped"


def test_two_watches_of_one_state_are_refused(tmp_path: Path, service: Exposing) -> None:
    log = tmp_path / "watch.log"
    process = started(tmp_path, service.address, log)
    try:
        wait_for(lambda: "nothing fires" in log.read_text(), 40, log.read_text)
        second = command(tmp_path, "monitoring.watch", check=False)
        assert (second.returncode, second.stderr.count("\n")) == (5, 1)
        assert "in use by another watch" in second.stderr
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_a_missing_binary_is_one_line(tmp_path: Path) -> None:
    done = command(tmp_path, "monitoring.watch", check=False, PATH="/nonexistent")
    assert done.returncode == 1
    assert done.stderr.endswith("install: apt-get install prometheus prometheus-alertmanager\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--target", "http://127.0.0.1:8000"], ["--target", "8000"], ["--target", "a:0"], ["--port"]],
)
def test_a_wrong_call_is_told(tmp_path: Path, arguments: list[str]) -> None:
    done = command(tmp_path, "monitoring.watch", *arguments, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_wrong_address_is_told(tmp_path: Path) -> None:
    done = command(tmp_path, "monitoring.watch", check=False, DATATHON_ONCALL_URL="hooks/x")
    assert done.returncode == 2
    assert done.stderr == "error: DATATHON_ONCALL_URL: expected http://host… or https://host…\n"
