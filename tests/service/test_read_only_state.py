"""A service that owns nothing but its heartbeat and its log."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server import Server, wait_for
from tests.service.switching import NEW, OLD, Service, promotion
from tests.unprivileged import NOBODY, UNPRIVILEGED

pytestmark = pytest.mark.slow

UNHEARD = "commands cannot see this worker"


class UnprivilegedServer(Server):
    """The service as a user who may read everything and owns nothing."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._command = [*UNPRIVILEGED, *self._command]


@pytest.fixture
def readable(home: Path) -> Path:
    """A home that is root's, but for the heartbeats and the inference log."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to run the service as another user")
    probe = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", ""], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"root may not become another user here: {probe.stderr.decode()}")
    for name in ("registry/workers", "inference_log"):
        (home / name).mkdir(exist_ok=True)
        os.chown(home / name, NOBODY, NOBODY)
    return home


def test_a_service_that_may_only_read_serves_beats_and_follows(readable: Path) -> None:
    workers = readable / "registry/workers"
    with UnprivilegedServer(readable) as server:
        service = Service(readable, server)
        (pid,) = server.workers()
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
        (beat,) = service.beats
        assert (beat["host"], beat["pid"]) == (socket.gethostname(), pid)
        service.assert_serves(OLD)
        done = json.loads(service.run(*promotion(NEW), "--json").stdout)
        assert (done["workers"], done["generation"]) == (1, 2)
        service.assert_serves(NEW)

        os.chown(workers, 0, 0)
        wait_for(lambda: UNHEARD in server.log, 10)
        unheard = service.run("rollback", "--reason", "drill", check=False)
        assert (unheard.returncode, f":{pid}: no sign of life" in unheard.stderr) == (7, True)
        wait_for(lambda: server.health()["model_version"] == OLD, 10, lambda: server.log)
        service.assert_serves(OLD)
        time.sleep(2.5)  # two more heartbeats that cannot be written
        assert server.log.count(UNHEARD) == 1

        os.chown(workers, NOBODY, NOBODY)
        wait_for(lambda: [beat["generation"] for beat in service.beats] == [3], 10)
        assert server.stop() == 0
        assert list(workers.iterdir()) == []
