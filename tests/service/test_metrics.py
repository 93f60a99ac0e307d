"""What /metrics says of a real service of two workers, and how a request is followed by its id."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.drills import versions
from registry import manifest
from tests.server import PROJECT, Server, command, configured, environment, wait_for
from tests.service.rows import cohort_rows, logged

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

REPORTED = {"datathon_drift_psi", "datathon_drift_status", "datathon_report_status"}


@pytest.fixture(scope="module")
def server(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("metrics") / "home"
    shutil.copytree(registered, home)
    path = configured(home, workers=2, watch={"refresh_seconds": 2})
    with Server(home, DATATHON_CONFIGURATION=path, DATATHON_ENTITY_SECRET="metrics") as running:
        wait_for(lambda: value(series(running), "workers_alive") == 2, 30)
        yield running


def series(server: Server) -> Series:
    try:
        text = server.client.get("/metrics").text
    except httpx.TransportError:  # the worker of this connection was killed
        text = server.client.get("/metrics").text
    return parsed(text)


def parsed(text: str) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Series, name: str, **labels: str) -> float:
    return found.get((f"datathon_{name}", frozenset(labels.items())), 0.0)


def labels_of(found: Series, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for known, labels in found if known == f"datathon_{name}"}


def lines(server: Server, request_id: str) -> list[dict[str, Any]]:
    """What the service printed about a request."""
    return [json.loads(line) for line in server.log.splitlines() if request_id in line]


def test_counts_are_those_of_what_was_sent_whichever_worker_took_it(server: Server) -> None:
    before = series(server)
    for row in (rows := cohort_rows(20)):
        assert server.predict([row]).status_code == 200
    scores = [answer["risk_label"] for answer in server.predict(rows).json()]
    assert server.predict([{**rows[0], "inde": 99}]).status_code == 400
    assert server.client.post("/predict", content=b"{").status_code == 415
    after = series(server)

    def grew(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grew("requests_total", route="/predict", status="200") == 21
    assert grew("requests_total", route="/predict", status="400") == 1
    assert grew("requests_total", route="/predict", status="415") == 1
    assert grew("request_seconds_count", route="/predict") == 23
    assert grew("predictions_total") == 40
    assert grew("positives_total") == 2 * sum(scores)
    assert grew("batch_rows_sum") == 40
    assert grew("validation_errors_total", field="inde") == 1
    tenths = [grew("scores_total", tenth=f"{n / 10:.1f}") for n in range(10)]
    assert sum(tenths) == 40


def test_a_client_that_leaves_during_its_upload_is_no_bad_request(server: Server) -> None:
    before = series(server)
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nX-Request-ID: left-early\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + b'{"instances": [')

    def grew(status: str) -> float:
        labels = {"route": "/predict", "status": status}
        return value(series(server), "requests_total", **labels) - value(
            before, "requests_total", **labels
        )

    wait_for(lambda: grew("499") == 1, 10)
    assert grew("400") == 0
    wait_for(lambda: lines(server, "left-early"), 5)
    (access,) = lines(server, "left-early")
    assert (access["level"], access["status"]) == ("INFO", 499)


def test_latency_has_bounds_where_the_alerts_look(server: Server) -> None:
    bounds = labels_of(series(server), "request_seconds_bucket", "le")
    assert {"0.3", "0.5"} <= bounds


def test_no_caller_can_grow_a_label(server: Server) -> None:
    server.predict([{f"made_up_{n}": 1 for n in range(50)}])
    for n in range(50):
        server.client.get(f"/made/up/{n}", headers={"X-Request-ID": f"id-{n}"})
    found = series(server)
    assert labels_of(found, "requests_total", "route") <= {
        "/predict", "/health", "/metadata", "/metrics", "/livez", "/readyz", "/", "other",
    }  # fmt: skip
    assert "made_up" not in str(found)


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="NOT TESTED: promtool (Debian: prometheus) is missing"
)
def test_promtool_has_no_complaint(server: Server) -> None:
    server.predict(cohort_rows(2))
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=server.client.get("/metrics").text, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_state_and_the_workers_are_there(server: Server) -> None:
    found = series(server)
    assert value(found, "champion_generation") == 1
    assert value(found, "champion_info", model="defasagem-risk", version="v1.0.0") == 1
    assert value(found, "workers_alive") == 2
    assert value(found, "version_workers", version="v1.0.0", role="serving") == 2
    disk = os.statvfs(server.home)
    kept_for_root = disk.f_bfree - disk.f_bavail
    assert value(found, "log_disk_size_bytes") == (disk.f_blocks - kept_for_root) * disk.f_frsize
    for worker in labels_of(found, "worker_generation", "worker"):
        assert value(found, "worker_generation", worker=worker) == 1
        assert value(found, "worker_serving", worker=worker) == 1
        assert value(found, "worker_degraded", worker=worker) == 0
        assert 0 <= value(found, "worker_beat_age_seconds", worker=worker) < 15
    assert labels_of(found, "worker_beat_age_seconds", "worker") == {"1", "2"}
    provenance = json.loads(
        (server.home / "models/defasagem-risk/v1.0.0/provenance.json").read_text()
    )
    trained = datetime.fromisoformat(provenance["trained_at"]).timestamp()
    assert value(found, "model_trained_timestamp_seconds") == trained
    resident = [
        int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024
        for pid in server.workers()
    ]
    shown = [value(found, "worker_memory_bytes", worker=worker) for worker in ("1", "2")]
    assert sum(shown) == pytest.approx(sum(resident), rel=0.2)


def test_a_worker_that_hangs_is_found_by_the_scrape_that_the_other_answers(server: Server) -> None:
    def oldest() -> float:
        found = asked_anew(server)
        return max(value(found, "worker_beat_age_seconds", worker=one) for one in ("1", "2"))

    hung = server.workers()[0]
    os.kill(hung, signal.SIGSTOP)
    try:
        wait_for(lambda: oldest() > 3, 30)
    finally:
        os.kill(hung, signal.SIGCONT)
    wait_for(lambda: oldest() < 2, 30)


def test_a_version_is_prepared_until_all_are_ready_and_then_resident(server: Server) -> None:
    def held(role: str) -> float:
        return value(asked_anew(server), "version_workers", version="v1.1.0", role=role)

    hung = server.workers()[0]
    os.kill(hung, signal.SIGSTOP)
    words = ["registry", "promote", "--version", "v1.1.0", "--force", "--reason", "t"]
    promote = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=PROJECT, env=environment(server.home)
    )
    try:
        wait_for(lambda: held("prepared") == 1 or promote.poll() is not None, 30)
        assert promote.poll() is None
    finally:
        os.kill(hung, signal.SIGCONT)
        promote.wait(60)
    wait_for(lambda: (held("resident"), held("prepared")) == (2, 0), 30)
    command(server.home, "registry", "rollback", "--reason", "t")
    wait_for(lambda: _generations(server) == {3.0}, 10)


def asked_anew(server: Server) -> Series:
    """What a scrape says that keeps no connection, as one may be to a worker that hangs."""
    for _ in range(20):
        try:
            return parsed(httpx.get(f"{server.client.base_url}/metrics", timeout=1).text)
        except httpx.TimeoutException:
            continue
    raise AssertionError("no worker answered")


def test_the_background_reports_appear_by_themselves(server: Server) -> None:
    server.predict(cohort_rows(300))
    wait_for(lambda: value(series(server), "drift_rows", **_drift()) >= 300, 30)
    found = series(server)
    assert {name for name, _ in found} >= REPORTED
    document = json.loads((server.home / "reports/latest/drift.json").read_text())
    for feature in document["features"]:
        shown = value(found, "drift_psi", feature=feature["name"], **_drift())
        assert shown == pytest.approx(feature["psi"])
    assert "problem" not in json.loads(
        (server.home / "reports/latest/performance.json").read_text()
    )


def _drift() -> dict[str, str]:
    return {"kind": "drift", "model": "defasagem-risk", "model_version": "v1.0.0"}


def test_a_request_is_followed_by_its_id_to_its_label(server: Server, tmp_path: Path) -> None:
    row = {**cohort_rows(1)[0], "entity_id": "pupil-7", "period": 2025}
    answer = server.predict([row], **{"X-Request-ID": "follow-me-1"})
    assert answer.headers["X-Request-ID"] == "follow-me-1"
    wait_for(lambda: lines(server, "follow-me-1"), 5)
    (access,) = lines(server, "follow-me-1")
    assert (access["level"], access["logger"], access["status"]) == ("INFO", "access", 200)
    assert (access["rows"], access["model_version"]) == (1, "v1.0.0")
    (record,) = [one for one in logged(server.home) if one["request_id"] == "follow-me-1"]
    assert record["prediction_id"] == answer.json()[0]["prediction_id"]
    labels = tmp_path / "labels.csv"
    header, observed = "prediction_id,label,observed_at", "2026-03-01T10:00:00Z"
    labels.write_text(f"{header}\n{record['prediction_id']},1,{observed}\n")
    lookup = ("monitoring.lookup", "--request_id", "follow-me-1")
    before = json.loads(command(server.home, *lookup, "--json").stdout)
    assert before == record | {"label": None, "observed_at": None}
    command(server.home, "monitoring.labels", "import", labels)
    after = json.loads(command(server.home, *lookup, "--json").stdout)
    assert after == record | {"label": 1, "observed_at": "2026-03-01T10:00:00.000000Z"}
    shown = command(server.home, *lookup).stdout
    assert "label 1  observed_at 2026-03-01T10:00:00.000000Z" in shown


def test_probes_that_succeed_are_not_in_the_access_log(server: Server) -> None:
    for path in ("/health", "/livez", "/readyz", "/metrics"):
        assert server.client.get(path, headers={"X-Request-ID": "a-probe"}).status_code == 200
    assert lines(server, "a-probe") == []


def test_a_swap_and_a_worker_that_died_are_counted_and_leave_no_stale_series(
    server: Server,
) -> None:
    before = series(server)
    command(server.home, "registry", "promote", "--version", "v1.1.0", "--force", "--reason", "t")
    swaps = value(before, "swap_seconds_count")
    wait_for(lambda: value(series(server), "swap_seconds_count") == swaps + 2, 10)
    wait_for(lambda: _generations(server) == {4.0}, 10)
    os.kill(server.workers()[0], signal.SIGKILL)
    wait_for(lambda: value(series(server), "worker_restarts_total") == 1, 60)
    wait_for(lambda: value(series(server), "workers_alive") == 2, 30)
    after = series(server)
    assert labels_of(after, "worker_generation", "worker") == {"1", "2"}
    assert _generations(server) == {4.0}
    assert value(after, "version_workers", version="v1.1.0", role="serving") == 2
    server.predict(cohort_rows(50))
    latest = server.home / "reports/latest/drift.json"
    wait_for(lambda: json.loads(latest.read_text()).get("model_version") == "v1.1.0", 30)
    # What the dead worker counted still counts.
    assert value(after, "predictions_total") >= value(before, "predictions_total")


def _generations(server: Server) -> set[float]:
    found = series(server)
    return {
        value(found, "worker_generation", worker=worker)
        for worker in labels_of(found, "worker_generation", "worker")
    }


def test_a_version_that_does_not_say_when_it_was_trained_serves_and_is_rolled_back(
    server: Server, registered: Path, tmp_path: Path
) -> None:
    artefacts = tmp_path / "artefacts"
    shutil.copytree(registered.parent / "v1.0.0", artefacts)
    provenance = artefacts / "provenance.json"
    said = json.loads(provenance.read_text())
    del said["trained_at"]
    provenance.write_text(json.dumps(said))
    manifest.write(artefacts)
    words = ["--version", "v1.2.0", "--artifacts", str(artefacts)]
    command(server.home, "registry", "register", *words)
    command(server.home, "registry", "promote", "--version", "v1.2.0", "--force", "--reason", "t")
    wait_for(lambda: server.health()["model_version"] == "v1.2.0", 10)
    wait_for(lambda: value(series(server), "workers_alive") == 2, 10)
    command(server.home, "registry", "rollback", "--reason", "t")
    assert server.health()["model_version"] == "v1.1.0"


def test_unexpected_errors_are_counted_by_type(
    server: Server, registered: Path, tmp_path: Path
) -> None:
    before = series(server)
    versions.raising(registered.parent / "v1.0.0", tmp_path / "raising")
    words = ["--version", "v1.3.0", "--artifacts", str(tmp_path / "raising")]
    command(server.home, "registry", "register", *words)
    command(server.home, "registry", "promote", "--version", "v1.3.0", "--force", "--reason", "t")
    began = time.time()
    row = cohort_rows(1)[0] | {"instituicao": "Federal"}
    for number in range(3):
        failed = server.predict([row], **{"X-Request-ID": f"failed-{number}"})
        assert (failed.status_code, failed.headers["X-Request-ID"]) == (500, f"failed-{number}")
    after = series(server)
    assert value(before, "errors_total", type="ValueError") == 0
    assert value(after, "errors_total", type="ValueError") == 3
    assert began <= value(after, "error_timestamp_seconds", type="ValueError") <= time.time()
    for number in range(3):
        told = [line for line in lines(server, f"failed-{number}") if line["level"] == "ERROR"]
        assert [line["request_id"] for line in told] == [f"failed-{number}"]
        (line,) = told
        assert line["message"].endswith(": ValueError")
        assert "serving/predictor.py" in line["frames"][0]
        assert all(re.fullmatch(r".+\.py:\d+ \S+", frame) for frame in line["frames"])
