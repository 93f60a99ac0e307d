"""The status of one real service that is well, broken and mended again, and at last stopped."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitoring.status.judgement import EXIT_CODES
from tests.server import Server, command, configured, wait_for
from tests.service.rows import cohort_rows

pytestmark = pytest.mark.incident

# What a busy or a full machine may add to any of these.
_MACHINE = {"DatathonLatency", "DatathonLatencyWarning", "DatathonDiskFilling"}


@pytest.fixture(scope="module")
def server(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """v1.1.0, promoted just now; rows that cannot be logged are refused."""
    folder = tmp_path_factory.mktemp("status")
    home = folder / "home"
    shutil.copytree(registered, home)
    reason = ("--force", "--reason", "higher precision wanted")
    command(home, "registry", "promote", "--version", "v1.1.0", *reason)
    configuration = configured(folder, serving={"on_log_failure": "refuse"})
    with Server(home, DATATHON_CONFIGURATION=configuration) as running:
        yield running


def look(server: Server, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the document."""
    url = f"http://127.0.0.1:{server.port}"
    words = ("monitoring.status", "--json", "--url", url, *arguments)
    done = command(server.home, *words, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def alerts(content: dict[str, Any]) -> set[str]:
    return {finding["alert"] for finding in content["findings"]} - _MACHINE


@contextmanager
def asked(server: Server) -> Iterator[None]:
    """Requests of two rows each, one after the other, until the end of the block."""
    rows, over = cohort_rows(2), threading.Event()

    def ask() -> None:
        while not over.is_set():
            server.predict(rows)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_service_that_is_well(server: Server) -> None:
    with asked(server):
        code, content = look(server)
    assert alerts(content) == set()
    assert code == EXIT_CODES[content["status"]]
    assert (content["health"]["status"], content["health"]["generation"]) == ("ok", 2)
    standing, traffic = content["standing"], content["traffic"]
    assert standing["champion"]["version"] == "v1.1.0"
    assert standing["champion"]["reason"] == "higher precision wanted"
    assert (standing["rollback"]["version"], standing["rollback"]["resident"]) == ("v1.0.0", 1)
    (worker,) = standing["workers"]
    assert worker["alive"]
    assert int(worker["name"].rpartition(":")[2]) in server.workers()
    assert set(worker["resident"]) == {"v1.0.0", "v1.1.0"}
    assert traffic["sample"]["requests"] > 1
    assert traffic["sample"]["server_errors"] == 0
    assert 0.0005 < traffic["sample"]["predict"]["p50"] < 5
    assert traffic["sample"]["batches"]["p50"] <= 2
    (gauges,) = traffic["workers"]
    assert 5e7 < gauges["memory_bytes"] < 2e9
    storage = content["storage"]
    files = (server.home / "inference_log" / f"dt={storage['day']}").iterdir()
    assert 0 < storage["day_bytes"] <= sum(path.stat().st_size for path in files)
    assert storage["newest_row"][:10] == storage["day"]


def test_a_log_that_cannot_be_written_is_red_and_so_are_its_refusals(server: Server) -> None:
    folder = server.home / "inference_log"
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with asked(server):
        wait_for(lambda: server.health()["status"] == "degraded", 20)
        code, content = look(server)
    assert code == 20
    assert alerts(content) == {"DatathonLogFailing", "DatathonErrors"}
    first = next(one for one in content["findings"] if one["alert"] == "DatathonLogFailing")
    assert first["command"].startswith("df -h")
    (group,) = [one for one in content["traffic"]["errors"] if one["kind"] == "status"]
    assert group["name"] == "503"
    assert group["in_sample"] > 0
    folder.unlink()
    assert server.predict(cohort_rows(2)).status_code == 200
    _, content = look(server)
    assert "DatathonLogFailing" not in alerts(content)


def test_a_damaged_pointer_is_red_and_its_first_command_mends_it(server: Server) -> None:
    pointer = server.home / "registry/champion.json"
    sound = pointer.read_bytes()
    pointer.write_bytes(sound[: len(sound) // 2])
    wait_for(lambda: server.health()["status"] == "degraded", 20)
    code, content = look(server)
    assert code == 20
    (finding,) = [one for one in content["findings"] if one["alert"] == "DatathonDegraded"]
    assert "not a champion pointer" in finding["sentence"]
    assert content["standing"]["champion"]["version"] == "v1.1.0"
    python, module, *words = shlex.split(finding["command"])
    assert (python, module) == ("python", "-m")
    command(server.home, *words)
    assert json.loads(pointer.read_bytes()) == json.loads(sound)
    wait_for(lambda: server.health()["status"] == "ok", 20)
    _, content = look(server)
    assert "DatathonDegraded" not in alerts(content)


def test_a_worker_that_hangs_is_told_by_its_heartbeat(server: Server) -> None:
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_for(lambda: "DatathonWorkerStuck" in alerts(look(server)[1]), 30)
        code, content = look(server)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert code == 20
    assert content["findings"][0]["alert"] == "DatathonDown"
    assert content["health"]["problem"] == "no answer within 2 s"
    (seen,) = content["standing"]["workers"]
    assert (seen["alive"], seen["version"]) == (False, "v1.1.0")
    wait_for(lambda: server.health()["status"] == "ok", 20)


def test_a_look_at_another_state_says_so_first_and_where_the_service_keeps_its_own(
    server: Server, tmp_path: Path
) -> None:
    if shutil.which("ss") is None:
        pytest.skip("NOT TESTED, where the service's state is: needs ss (install iproute2)")
    words = ("monitoring.status", "--json", "--url", f"http://127.0.0.1:{server.port}")
    for home in (tmp_path, tmp_path / "nowhere"):
        done = command(home, *words, check=False)
        first = json.loads(done.stdout)["findings"][0]
        assert (done.returncode, first["severity"]) == (20, "red")
        assert first["sentence"].startswith("Your commands act on another state")
    found = subprocess.run(["bash", "-c", first["command"]], capture_output=True, text=True)
    assert f"BENTOML_HOME={server.home}\n" in found.stdout
    _, content = look(server)
    assert not [one for one in content["findings"] if "another state" in one["sentence"]]


def test_a_service_that_is_stopped_is_red(server: Server) -> None:
    server.stop()
    code, content = look(server)
    assert code == 20
    assert content["findings"][0]["alert"] == "DatathonDown"
    assert content["health"]["problem"] == "connection refused"
    assert content["standing"]["workers"] == []
    assert content["standing"]["champion"]["version"] == "v1.1.0"
