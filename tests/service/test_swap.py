"""The running service follows the pointer, and keeps what it has when it cannot."""

import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.server import Server, command, configured, wait_for
from tests.service.rows import cohort_rows

pytestmark = pytest.mark.slow

WELL_FORMED = b"all keys, and a version that is not registered"
DAMAGES = (
    (b"", "not a champion pointer"),
    (b"garbage", "not a champion pointer"),
    (b"{}", "not a champion pointer"),
    (b'{"version":"v9.9.9"}', "not a champion pointer"),
    (WELL_FORMED, "no version 'v9.9.9'"),
    (None, "champion.json is gone"),
)
"""What becomes of the pointer, and what /health says of it."""


def version_of(server: Server) -> str:
    return str(server.health()["model_version"])


def force(home: Path, version: str, *, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Another seed's recall is two points lower, which is for the guardrails to say elsewhere."""
    arguments = ("--version", version, "--force", "--reason", "drill")
    return command(home, "registry", "promote", *arguments, check=check)


def test_promote_and_rollback_change_the_running_service_without_a_failed_request(
    home: Path,
) -> None:
    rows = cohort_rows(60)
    with Server(home) as server:
        seen: list[set[str]] = []
        failures: list[str] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                answer = server.predict(rows)
                if answer.status_code != 200:
                    failures.append(answer.text)
                else:
                    seen.append({one["model_version"] for one in answer.json()})

        clients = [threading.Thread(target=load) for _ in range(4)]
        for client in clients:
            client.start()
        force(home, "v1.1.0")
        wait_for(lambda: version_of(server) == "v1.1.0", 10)
        command(home, "registry", "rollback", "--reason", "5xx alto")
        wait_for(lambda: version_of(server) == "v1.0.0", 10)
        promotion = server.client.get("/metadata").json()["promotion"]
        stop.set()
        for client in clients:
            client.join()
        generation = server.health()["generation"]
    assert failures == []
    assert all(len(versions) == 1 for versions in seen), "an answer mixed two versions"
    assert set.union(*seen) == {"v1.0.0", "v1.1.0"}
    assert (promotion["action"], promotion["reason"], generation) == ("rollback", "5xx alto", 3)


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(home: Path) -> None:
    pointer = home / "registry/champion.json"
    with Server(home) as server:
        promoted = json.loads(pointer.read_text())
        broken = home / "models/defasagem-risk/v1.1.0/pipeline.skops"
        content = broken.read_bytes()
        broken.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        refused = force(home, "v1.1.0", check=False)
        assert refused.returncode == 6
        assert json.loads(pointer.read_text()) == promoted

        # Somebody writes the pointer by hand: the service must not follow.
        bad = promoted | {"version": "v1.1.0", "generation": 2}
        pointer.write_text(json.dumps(bad))
        wait_for(lambda: server.health()["status"] == "degraded", 10)
        health = server.health()
        assert health["model_version"] == "v1.0.0"
        assert "v1.1.0" in health["reason"]
        assert server.predict(cohort_rows(1)).status_code == 200

        broken.write_bytes(content)
        force(home, "v1.1.0")
        wait_for(lambda: version_of(server) == "v1.1.0", 10)
        assert server.health()["status"] == "ok"


def test_a_damaged_pointer_degrades_and_recovers_by_itself(home: Path) -> None:
    pointer = home / "registry/champion.json"
    whole = pointer.read_bytes()
    rows = cohort_rows(1)
    with Server(home) as server:
        for content, reason in DAMAGES:
            if content is None:
                pointer.unlink()
            elif content == WELL_FORMED:
                named = {"version": "v9.9.9", "generation": 2}
                pointer.write_text(json.dumps(json.loads(whole) | named))
            else:
                pointer.write_bytes(content)
            wait_for(lambda: server.health()["status"] == "degraded", 10)
            health = server.health()
            assert (health["model_version"], health["model_loaded"]) == ("v1.0.0", True)
            assert reason in health["reason"]
            assert server.predict(rows).status_code == 200
            pointer.write_bytes(whole)
            wait_for(lambda: server.health()["status"] == "ok", 10)
            assert "reason" not in server.health()


def test_without_a_champion_it_waits_and_serves_from_the_first_promote(home: Path) -> None:
    (home / "registry/champion.json").unlink()
    (home / "registry/history.jsonl").unlink()
    with Server(home, wait="/health") as server:
        assert server.client.get("/health").status_code == 503
        assert server.client.get("/readyz").status_code == 503
        refused = server.predict(cohort_rows(1))
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert "promote" in refused.json()["error"]
        command(home, "registry", "promote", "--version", "v1.0.0")
        wait_for(lambda: server.client.get("/readyz").status_code == 200, 10)
        assert server.predict(cohort_rows(1)).status_code == 200


def test_a_bento_serves_the_champion_where_there_is_one_and_its_own_model_where_not(
    home: Path,
) -> None:
    with Server(home, target="datathon-api:v1.1.0") as server:
        assert (version_of(server), server.health()["generation"]) == ("v1.0.0", 1)
    (home / "registry/champion.json").unlink()
    (home / "registry/history.jsonl").unlink()  # which tells of a champion too
    with Server(home, target="datathon-api:v1.1.0") as server:
        assert (version_of(server), server.health()["generation"]) == ("v1.1.0", 0)
        assert server.predict(cohort_rows(3)).json()[0]["model_version"] == "v1.1.0"


def test_two_workers_both_change_over(home: Path, tmp_path: Path) -> None:
    rows = cohort_rows(1)
    with Server(home, DATATHON_CONFIGURATION=configured(tmp_path, workers=2)) as server:
        assert len(server.workers()) == 2
        force(home, "v1.1.0")
        wait_for(lambda: server.log.count("serving v1.1.0") == 2, 10)
        versions = {server.predict(rows).json()[0]["model_version"] for _ in range(40)}
        assert versions == {"v1.1.0"}
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
