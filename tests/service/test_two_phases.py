"""A promote in two phases, with workers that cannot load, are killed, are stopped, or may not
write: whatever happens, the service answers, and a rollback is not held up."""

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import skops.io

from registry import manifest
from tests.server import Server, configured, wait_for
from tests.service.rows import cohort_rows
from tests.service.switching import (
    CRAFTED,
    EXPIRES_SECONDS,
    MODEL,
    NEW,
    OLD,
    OTHER,
    SPARE_SECONDS,
    Service,
    promotion,
)

pytestmark = pytest.mark.slow


class Intruder:
    """A type of the test's own, which no list trusts."""

    def __init__(self) -> None:
        self.mark = 1


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
    with Server(home, DATATHON_CONFIGURATION=configured(folder, workers=2)) as server:
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
            with suppress(ProcessLookupError):  # it may have been killed meanwhile
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
        done = service.rollback()[0]
        assert Path(f"/proc/{killed}").exists()
    assert done["seconds"] < EXPIRES_SECONDS / 2  # it did not wait for a heartbeat to expire
    assert (done["to"], done["done"]) == (OLD, True)
    told = [beat for beat in service.beats if beat["pid"] == other]
    assert [beat["generation"] for beat in told] == [done["generation"]]
    wait_for(service.is_settled, 60, lambda: service.server.log)
    assert killed not in service.server.workers()
    service.assert_serves(OLD)


def test_a_worker_that_is_killed_before_it_has_loaded_a_version_keeps_it_from_serving(
    service: Service,
) -> None:
    before = service.pointer
    killed, _ = service.server.workers()
    with stopped([killed]):
        promote = service.begin(OTHER)
        os.kill(killed, signal.SIGKILL)
        _, refusal = promote.communicate(timeout=10)
    assert (promote.returncode, refusal.count("\n")) == (6, 1)
    assert f":{killed}: crashed or was killed" in refusal
    assert service.pointer == before
    wait_for(service.is_ready, 60, lambda: service.server.log)
    service.assert_serves(NEW)


def test_a_rollback_waits_for_who_takes_the_place_of_killed_workers(service: Service) -> None:
    for worker in service.server.workers():
        os.kill(worker, signal.SIGKILL)
    done, _ = service.rollback()
    assert (done["to"], done["done"]) == (OLD, True)
    assert done["workers"] > 0
    service.assert_serves(OLD)
    wait_for(service.is_settled, 60, lambda: service.server.log)


def test_a_move_that_no_worker_lives_to_serve_is_not_said_to_be_done(home: Path) -> None:
    with Server(home) as server:
        service = Service(home, server)
        service.promote(NEW)
        [worker] = server.workers()
        assert server.process is not None
        with stopped([worker]):
            rollback = service.start("rollback", "--reason", "drill")
            service.wait_with_all(lambda: service.pointer["version"] == OLD)
            for pid in (server.process.pid, worker):  # nobody starts it again
                os.kill(pid, signal.SIGKILL)
        _, words = rollback.communicate(timeout=60)
    assert (rollback.returncode, words.count("\n")) == (7, 1)
    assert f"1 of 1 workers do not serve it: {socket.gethostname()}:{worker}: crashed or" in words


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
    assert rollback.returncode == 0, problem
    assert promote.returncode == 5, refusal
    service.assert_serves(OLD)
