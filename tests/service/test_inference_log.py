"""What was acknowledged is in the log, whatever happens to the process or the disk."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.server import Server, configured, wait_for
from tests.service.rows import cohort_rows, logged

pytestmark = pytest.mark.slow


def test_kill_9_loses_nothing_that_was_acknowledged(home: Path) -> None:
    rows = cohort_rows(200)
    acknowledged: list[str] = []
    with Server(home) as server:

        def load(first: int) -> None:
            with httpx.Client(base_url=server.client.base_url, timeout=30) as client:
                for number in range(first, 10_000):
                    some = rows[number % 190 : number % 190 + 7]
                    try:
                        answer = client.post("/predict", json={"instances": some})
                    except httpx.TransportError:
                        return
                    acknowledged.extend(one["prediction_id"] for one in answer.json())

        clients = [threading.Thread(target=load, args=(number,)) for number in range(6)]
        for client in clients:
            client.start()
        wait_for(lambda: len(acknowledged) > 1500, 30)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        for client in clients:
            client.join()
        # The worker is started anew and goes on in a file of its own.
        wait_for(lambda: answers(server), 60)
        after = server.predict(rows[:3]).json()
        assert "ended unexpectedly" in server.log
    ids = [record["prediction_id"] for record in logged(home)]
    assert len(ids) == len(set(ids))
    assert set(acknowledged) <= set(ids)
    assert {one["prediction_id"] for one in after} <= set(ids)
    assert len(list((home / "inference_log").glob("dt=*/*.jsonl"))) >= 2


def answers(server: Server) -> bool:
    try:
        return server.client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def unwritable(home: Path) -> Iterator[None]:
    """The log's place is taken by a file: no write can succeed, not even root's."""
    folder = home / "inference_log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way")
    yield
    folder.unlink()


def test_a_log_that_cannot_be_written_degrades_health_and_recovers(home: Path) -> None:
    with unwritable(home), Server(home) as server:
        assert server.predict(cohort_rows(2)).status_code == 200
        health = server.health()
        assert health["status"] == "degraded"
        assert "inference log" in health["reason"]
        assert "datathon_log_failures_total 1.0" in server.client.get("/metrics").text
        assert [line for line in server.log.splitlines() if json.loads(line)["level"] == "ERROR"]
        (home / "inference_log").unlink()
        assert server.predict(cohort_rows(2)).status_code == 200
        assert server.health()["status"] == "ok"
        assert len(logged(home)) == 2
        (home / "inference_log").rename(home / "kept")
        (home / "inference_log").touch()


def test_a_log_that_is_removed_or_moved_while_serving_is_begun_anew(home: Path) -> None:
    with Server(home) as server:
        assert server.predict(cohort_rows(2)).status_code == 200
        (home / "inference_log").rename(home / "moved")
        assert server.predict(cohort_rows(3)).status_code == 200
        assert len(logged(home)) == 3


def test_on_log_failure_refuse_answers_503_and_logs_nothing(home: Path, tmp_path: Path) -> None:
    configuration = configured(tmp_path, serving={"on_log_failure": "refuse"})
    with unwritable(home), Server(home, DATATHON_CONFIGURATION=configuration) as server:
        answer = server.predict(cohort_rows(2))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert set(answer.json()) == {"error", "detail"}
        (home / "inference_log").unlink()
        assert server.predict(cohort_rows(2)).status_code == 200
        assert len(logged(home)) == 2
        (home / "inference_log").rename(home / "kept")
        (home / "inference_log").touch()


def test_an_entity_id_is_logged_only_as_a_key_under_the_secret(home: Path) -> None:
    import hashlib
    import hmac

    rows = [cohort_rows(1)[0] | {"entity_id": "Aluno Um"}] * 2
    with Server(home, DATATHON_ENTITY_SECRET="segredo") as server:
        server.predict(rows)
    expected = hmac.new(b"segredo", b"Aluno Um", hashlib.sha256).hexdigest()[:32]
    assert [record["entity"] for record in logged(home)] == [expected] * 2
    with Server(home) as server:
        server.predict(rows)
        assert "DATATHON_ENTITY_SECRET is not set" in server.log
    assert [record["entity"] for record in logged(home)].count(None) == 2
    files = "".join(path.read_text() for path in (home / "inference_log").rglob("*.jsonl"))
    assert "Aluno Um" not in files
