"""Train, register, promote, serve, predict, log, drift: the main job on a real server."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.server import Server, command
from tests.service.rows import cohort_rows, logged, pipeline_scores

pytestmark = pytest.mark.slow


def test_two_thousand_predictions_from_eight_clients_are_the_pipelines_own(home: Path) -> None:
    rows = cohort_rows(2000)
    sizes = [1, 2, 5, 12, 30]
    requests: list[list[int]] = []
    start = 0
    while start < len(rows):
        size = sizes[len(requests) % len(sizes)]
        requests.append(list(range(start, min(start + size, len(rows)))))
        start += size

    with Server(home, DATATHON_ENTITY_SECRET="a secret of the test") as server:

        def send(indices: list[int]) -> list[dict[str, Any]]:
            answer = server.predict([rows[index] for index in indices])
            assert answer.status_code == 200, answer.text
            return list(answer.json())

        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(send, requests))

    flat = [prediction for answer in answers for prediction in answer]
    scores = np.array([prediction["risk_score"] for prediction in flat])
    np.testing.assert_allclose(scores, pipeline_scores(home, "v1.0.0", rows), rtol=0, atol=1e-9)
    model = json.loads((home / "models/defasagem-risk/v1.0.0/model.json").read_text())
    labels = [prediction["risk_label"] for prediction in flat]
    assert labels == [int(score >= model["threshold"]) for score in scores]
    assert {prediction["model_version"] for prediction in flat} == {"v1.0.0"}
    ids = [prediction["prediction_id"] for prediction in flat]
    assert len(set(ids)) == 2000

    records = {record["prediction_id"]: record for record in logged(home)}
    assert set(records) == set(ids)
    for row, prediction in zip(rows, flat, strict=True):
        record = records[prediction["prediction_id"]]
        sent = dict(row)
        assert sent.pop("entity_id")
        assert (record["period"], record["features"]) == (sent.pop("period"), sent)
        assert record["risk_score"] == prediction["risk_score"]
        assert record["entity"] not in (None, row["entity_id"])
    assert len({record["entity"] for record in records.values()}) == 2000

    drift = command(
        home, "monitoring.drift_report", "--model_version", "v1.0.0", "--last_n_days", "7"
    )
    assert "GREEN" in drift.stdout
    assert "2000 predictions about 2000 entities" in " ".join(drift.stdout.split())
    written = json.loads(next((home / "reports").glob("drift-v1.0.0-*.json")).read_text())
    assert (written["rows"], written["status"]) == (2000, "green")


@pytest.mark.parametrize(
    ("drift", "suspects"),
    [
        ("bug", {"inde", "nota_mat", "ipv", "instituicao"}),
        ("population", {"fase", "idade", "anos_pm"}),
    ],
)
def test_what_drifted_is_red_by_name_and_by_exit_code(
    home: Path, drift: str, suspects: set[str]
) -> None:
    rows = cohort_rows(800, drift=drift)
    with Server(home) as server:
        assert server.predict(rows).status_code == 200
    done = command(home, "monitoring.drift_report", "--last-n-days=7", "--json", check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["status"]) == (20, "red")
    coloured = {f["name"] for f in report["features"] if f["status"] in ("red", "yellow")}
    assert suspects <= coloured


def test_drift_without_rows_or_version_exits_3_in_one_line(home: Path) -> None:
    for arguments in ((), ("--model_version", "v9.9.9"), ("--model_version", "v1.1.0")):
        done = command(home, "monitoring.drift_report", *arguments, check=False)
        assert done.returncode == 3
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""


def test_health_answers_within_50_ms_while_eight_clients_send_1000_rows_each(home: Path) -> None:
    body = json.dumps({"instances": cohort_rows(1000)}).encode()
    headers = {"Content-Type": "application/json"}
    with Server(home) as server:
        url = f"http://127.0.0.1:{server.port}"
        stop = time.monotonic() + 8

        def load(_: int) -> int:
            sent = 0
            with httpx.Client(base_url=url, timeout=60) as client:
                while time.monotonic() < stop:
                    answer = client.post("/predict", content=body, headers=headers)
                    assert answer.status_code == 200, answer.text
                    sent += 1
            return sent

        waits = []
        with ThreadPoolExecutor(8) as clients:
            running = [clients.submit(load, number) for number in range(8)]
            while time.monotonic() < stop:
                begun = time.perf_counter()
                assert server.client.get("/health").status_code == 200
                waits.append(time.perf_counter() - begun)
            sent = [future.result() for future in running]
    assert min(sent) >= 1
    assert np.percentile(waits, 95) <= 0.050, (
        f"p95 {np.percentile(waits, 95):.3f} s of {len(waits)}"
    )


def test_metadata_holds_an_example_that_predict_takes_as_it_is(home: Path) -> None:
    with Server(home) as server:
        metadata = server.client.get("/metadata").json()
        answer = server.client.post("/predict", json=metadata["example"])
        metrics = server.client.get("/metrics").text
    assert answer.status_code == 200
    assert metadata["model_version"] == "v1.0.0"
    assert metadata["promotion"]["reason"] == "first"
    declared = json.loads((home / "models/defasagem-risk/v1.0.0/schema.json").read_text())
    assert metadata["features"] == declared["features"]
    rows = len(metadata["example"]["instances"])
    assert f"datathon_predictions_total {float(rows)}" in metrics
    assert "datathon_champion_generation 1.0" in metrics


def test_metrics_count_refusals_and_belong_to_one_server_of_several_on_a_home(home: Path) -> None:
    with Server(home) as first:
        assert first.predict(cohort_rows(3)).status_code == 200
        assert first.predict([]).status_code == 400
        with Server(home) as second:
            assert second.predict(cohort_rows(1)).status_code == 200
            assert "datathon_predictions_total 1.0" in second.client.get("/metrics").text
        metrics = first.client.get("/metrics").text
    assert "datathon_predictions_total 3.0" in metrics
    assert 'datathon_requests_total{route="/predict",status="400"} 1.0' in metrics
