"""Two services on one state, of which one has a host name and process numbers of its own, as on
another host or in a container: its heartbeat is all that is known of it."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, command, wait_for
from tests.service.switching import EXPIRES_SECONDS, NEW, OLD, SPARE_SECONDS, promotion

pytestmark = pytest.mark.slow

ELSEWHERE = "elsewhere"
APART = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


class OtherHost(Server):
    """The service where nobody sees this host's processes, and the reverse."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        run = f'hostname {ELSEWHERE} && exec "$@"'
        self._command = [*APART, "sh", "-c", run, "sh", *self._command]

    def lose_power(self) -> None:
        """All of it ends at once; nobody takes a heartbeat away."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """As `docker stop` does: the signal is for the first process there."""
        assert self.process is not None
        if self.process.poll() is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def hosts(home: Path) -> Iterator[tuple[Server, OtherHost]]:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to start a service as on another host")
    probe = subprocess.run([*APART, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"another host cannot be had here: {probe.stderr}")
    with Server(home) as here, OtherHost(home) as there:
        wait_for(lambda: len(beats(home)) == 2, 10)
        yield here, there


def beats(home: Path) -> list[dict[str, Any]]:
    paths = (home / "registry/workers").glob("*.json")
    return [json.loads(path.read_text()) for path in paths]


def served(*servers: Server) -> list[str]:
    return [server.health()["model_version"] for server in servers]


def test_a_move_is_followed_on_both_hosts_and_one_that_is_lost_blocks_nothing(
    home: Path, hosts: tuple[Server, OtherHost]
) -> None:
    here, there = hosts
    assert len({beat["host"] for beat in beats(home)}) == 2
    assert ELSEWHERE in {beat["host"] for beat in beats(home)}
    done = json.loads(command(home, "registry", *promotion(NEW), "--json").stdout)
    assert done["workers"] == 2
    assert served(here, there) == [NEW, NEW]
    [[pid, name]] = [[b["pid"], b["host"]] for b in beats(home) if b["host"] == ELSEWHERE]

    there.lose_power()
    began = time.monotonic()
    rollback = command(home, "registry", "rollback", "--reason", "drill", check=False)
    assert time.monotonic() - began < EXPIRES_SECONDS + SPARE_SECONDS
    assert rollback.returncode == 7
    assert f"1 of 2 workers do not serve it: {name}:{pid}: no sign of life" in rollback.stderr
    assert served(here) == [OLD]

    again = json.loads(command(home, "registry", *promotion(NEW), "--json").stdout)
    assert again["workers"] == 1  # it is known to be dead by now, and not waited for
    assert served(here) == [NEW]


def test_a_worker_that_ended_as_asked_is_not_waited_for(
    home: Path, hosts: tuple[Server, OtherHost]
) -> None:
    here, there = hosts
    assert there.stop() == 0
    assert [beat["host"] == ELSEWHERE for beat in beats(home)] == [False]
    done = json.loads(command(home, "registry", *promotion(NEW), "--json").stdout)
    assert done["workers"] == 1
    assert served(here) == [NEW]
