"""A promote in two phases, with workers that cannot load, are killed, are stopped, or may not
write: whatever happens, the service answers, and a rollback is not held up."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import skops.io
import yaml

from registry import manifest
from tests.server import PROJECT, Server, command, environment, wait_for
from tests.service.rows import cohort_rows

pytestmark = pytest.mark.slow

MODEL = "defasagem-risk"
OLD, NEW, OTHER, CRAFTED = "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"
EXPIRES_SECONDS = 3.0
SPARE_SECONDS = 2.0
NOBODY = 65534
UNHEARD = "commands cannot see this worker"
# Python itself may stand in a folder of root's: to read it all is allowed, to write it is not.
UNPRIVILEGED = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
UNPRIVILEGED += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]


class Intruder:
    """A type of the test's own, which no list trusts."""

    def __init__(self) -> None:
        self.mark = 1


class Service:
    """A running service of two workers and the home that it serves from."""

    def __init__(self, home: Path, server: Server) -> None:
        self.home = home
        self.server = server

    @property
    def pointer(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.home / "registry/champion.json").read_text())
        return content

    @property
    def beats(self) -> list[dict[str, Any]]:
        paths = (self.home / "registry/workers").glob("*.json")
        return [json.loads(path.read_text()) for path in paths]

    def folder(self, version: str) -> Path:
        return self.home / "models" / MODEL / version

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return command(self.home, "registry", *arguments, check=check)

    def promote(self, version: str) -> None:
        self.run(*promotion(version))

    def rollback(self) -> tuple[dict[str, Any], float]:
        """The command's JSON, and the wall time that it took."""
        began = time.monotonic()
        done = self.run("rollback", "--reason", "drill", "--json")
        return json.loads(done.stdout), time.monotonic() - began

    def assert_rolls_back_without(self, pid: int) -> None:
        """A rollback with a worker that stands still: committed, in time, and it is named."""
        began = time.monotonic()
        done = self.run("rollback", "--reason", "drill", check=False)
        assert time.monotonic() - began < EXPIRES_SECONDS + SPARE_SECONDS
        assert done.returncode == 7, done.stdout
        assert "1 of 2 workers do not serve it" in done.stderr
        assert f":{pid}: no sign of life for 3 s" in done.stderr
        assert self.pointer["version"] == OLD

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "registry", *arguments],
            cwd=PROJECT,
            env=environment(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, version: str) -> "subprocess.Popen[str]":
        """A promote that has asked the workers to prepare and waits for one of them."""
        process = self.start(*promotion(version))
        wait_for(lambda: self.pointer["prepare"] is not None or process.poll() is not None, 10)
        assert process.poll() is None, process.communicate()
        return process

    def is_settled(self) -> bool:
        """Whether two workers are alive and serve what the pointer says."""
        pids = set(self.server.workers())
        generation = self.pointer["generation"]
        told = {beat["pid"] for beat in self.beats if beat["generation"] == generation}
        return len(pids) == 2 and pids <= told

    def is_ready(self) -> bool:
        """Whether both workers could roll back at once, too."""
        pids = set(self.server.workers())
        wanted = {OLD, NEW}
        return self.is_settled() and all(
            wanted <= set(beat["resident"]) for beat in self.beats if beat["pid"] in pids
        )

    def assert_serves(self, version: str) -> None:
        health = self.server.health()
        assert (health["status"], health["model_version"]) == ("ok", version), health
        answer = self.server.predict(cohort_rows(3))
        assert answer.status_code == 200
        assert {one["model_version"] for one in answer.json()} == {version}


def promotion(version: str) -> tuple[str, ...]:
    return ("promote", "--version", version, "--force", "--reason", "drill")


def two_workers(folder: Path) -> str:
    content = yaml.safe_load((PROJECT / "configuration.yaml").read_text(encoding="utf-8"))
    content["bentoml"]["workers"] = 2
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def running(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("running")
    home = folder / "home"
    shutil.copytree(registered, home)
    models = home / "models" / MODEL
    # The same bytes under another number are another version, and are loaded as one.
    shutil.copytree(models / OLD, models / OTHER)
    shutil.copytree(models / OLD, models / CRAFTED)
    (models / CRAFTED / manifest.PIPELINE).write_bytes(skops.io.dumps(Intruder()))
    (models / CRAFTED / manifest.MANIFEST).unlink()
    manifest.write(models / CRAFTED)
    with Server(home, DATATHON_CONFIGURATION=two_workers(folder)) as server:
        yield Service(home, server)


@pytest.fixture
def service(running: Service) -> Service:
    """Both workers serve NEW and hold OLD, to which a rollback would go."""
    if running.pointer["version"] != NEW:
        running.promote(NEW)
    wait_for(running.is_ready, 30, lambda: f"{running.beats}\n{running.server.log}")
    running.assert_serves(NEW)
    return running


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Processes that stand still, as under a debugger or a host that swaps, and then go on."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        yield
    finally:
        path.write_bytes(whole)


@contextmanager
def watched(service: Service) -> Iterator[list[tuple[int, str, str]]]:
    """Asks the service all the time: status of an answer, its version, the health."""
    seen: list[tuple[int, str, str]] = []
    stop = threading.Event()
    rows = cohort_rows(3)

    def ask() -> None:
        with httpx.Client(base_url=service.server.client.base_url, timeout=30) as client:
            while not stop.wait(0.02):
                answer = client.post("/predict", json={"instances": rows})
                health = client.get("/health").json()
                seen.append((answer.status_code, health["model_version"], health["status"]))

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield seen
    finally:
        stop.set()
        client.join()


def test_a_version_that_no_worker_can_load_is_not_promoted(service: Service) -> None:
    before = service.pointer
    with watched(service) as seen:
        refused = service.run(*promotion(CRAFTED), check=False)
        wait_for(lambda: len(seen) > 20, 30)
    assert refused.returncode == 6
    (line,) = refused.stderr.splitlines()
    assert "nothing was changed" in line
    assert "Intruder" in line
    for pid in service.server.workers():
        assert f":{pid}: " in line
    assert service.pointer == before
    assert before["prepare"] is None
    assert set(seen) == {(200, NEW, "ok")}
    service.assert_serves(NEW)


def test_a_flipped_byte_refuses_the_move_and_what_is_in_memory_goes_on(service: Service) -> None:
    damaged = service.folder(NEW) / manifest.PIPELINE
    with flipped(damaged):
        assert service.run(*promotion(NEW), check=False).returncode == 6
        service.promote(OTHER)  # asks the workers of the damaged champion to prepare
        service.assert_serves(OTHER)
        left = service.pointer
        for refused in (promotion(NEW), ("rollback", "--reason", "drill")):
            done = service.run(*refused, check=False)
            assert (done.returncode, str(damaged) in done.stderr) == (6, True)
        assert service.pointer == left
        service.assert_serves(OTHER)
    assert service.rollback()[0]["to"] == NEW


def test_a_damaged_champion_goes_on_from_memory(service: Service) -> None:
    with flipped(service.folder(NEW) / manifest.PIPELINE):
        # The pointer is written anew, twice, and every worker looks at it.
        assert service.run(*promotion(CRAFTED), check=False).returncode == 6
        time.sleep(1)
        service.assert_serves(NEW)


def test_a_worker_that_was_killed_does_not_hold_a_rollback_up(service: Service) -> None:
    killed, other = service.server.workers()
    assert service.server.process is not None
    # Who starts the workers stands still: it neither notices that one ended nor replaces it.
    with stopped([service.server.process.pid]):
        os.kill(killed, signal.SIGKILL)
        done, seconds = service.rollback()
        assert Path(f"/proc/{killed}").exists()
    assert seconds < EXPIRES_SECONDS
    assert (done["to"], done["done"]) == (OLD, True)
    told = [beat for beat in service.beats if beat["pid"] == other]
    assert [beat["generation"] for beat in told] == [done["generation"]]
    wait_for(service.is_settled, 60, lambda: service.server.log)
    assert killed not in service.server.workers()
    service.assert_serves(OLD)


def test_a_worker_that_stands_still_expires_and_catches_up_later(service: Service) -> None:
    still, _ = service.server.workers()
    with stopped([still]):
        service.assert_rolls_back_without(still)
        assert not service.is_settled()
    wait_for(service.is_settled, 10)
    service.assert_serves(OLD)


def test_a_promote_that_is_killed_while_it_prepares_leaves_nothing_to_clear_up(
    service: Service,
) -> None:
    before = service.pointer
    with stopped(service.server.workers()[:1]):
        process = service.begin(OTHER)
        process.kill()
        process.communicate()
    assert service.pointer["prepare"]["version"] == OTHER
    assert service.pointer | {"prepare": None} == before
    service.assert_serves(NEW)
    service.promote(OTHER)
    service.assert_serves(OTHER)
    assert service.rollback()[0]["to"] == NEW
    assert service.pointer["prepare"] is None
    service.assert_serves(NEW)


def test_a_rollback_wins_over_a_promote_that_waits(service: Service) -> None:
    still, _ = service.server.workers()
    with stopped([still]):
        promote = service.begin(OTHER)
        service.assert_rolls_back_without(still)
        _, refusal = promote.communicate(timeout=30)
    assert (promote.returncode, refusal.count("\n")) == (5, 1)
    assert f"moved the champion to {OLD} meanwhile" in refusal
    assert service.pointer["prepare"] is None
    wait_for(service.is_settled, 10)
    service.assert_serves(OLD)


def test_a_promote_ends_when_a_rollback_came_before_any_worker_looked(service: Service) -> None:
    generation = service.pointer["generation"]
    with stopped(service.server.workers()):
        promote = service.begin(OTHER)
        rollback = service.start("rollback", "--reason", "drill")
        wait_for(lambda: service.pointer["generation"] > generation, 10)
    # The workers see only what the rollback wrote: none will ever answer the promote.
    try:
        _, refusal = promote.communicate(timeout=EXPIRES_SECONDS + SPARE_SECONDS)
    finally:
        promote.kill()
        _, problem = rollback.communicate(timeout=30)
    assert (rollback.returncode, problem) == (0, "")
    assert promote.returncode == 5, refusal
    service.assert_serves(OLD)


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
