"""A service with a challenger in its shadow: the answers are the champion's, and come first."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.server import Server, command, wait_for
from tests.service.rows import cohort_rows, logged, pipeline_scores


@pytest.mark.slow
def test_a_service_scores_its_challenger_beside_the_champion(home: Path) -> None:
    rows = cohort_rows(300)
    with Server(home) as server:
        server.predict(rows[:5])
        command(home, "registry", "shadow", "--version", "v1.1.0")
        answers = [
            one for n in range(0, 300, 50) for one in server.predict(rows[n : n + 50]).json()
        ]
        assert {one["model_version"] for one in answers} == {"v1.0.0"}
        said = 'datathon_shadow_rows_total{result="scored"} 300.0'
        wait_for(lambda: said in server.client.get("/metrics").text, 20)
        last = server.predict(rows[:7]).json()  # in the queue when the service stops
        assert server.stop() == 0
    found = logged(home, "shadow_log")
    assert [r["prediction_id"] for r in found] == [p["prediction_id"] for p in answers + last]
    assert {r["model_version"] for r in found} == {"v1.1.0"}
    expected = pipeline_scores(home, "v1.1.0", rows)
    assert np.allclose([r["risk_score"] for r in found[:300]], expected, rtol=0, atol=1e-9)
    told = command(home, "monitoring.shadow_report", "--json")
    report = json.loads(told.stdout)
    assert (report["model_version"], report["rows"]) == ("v1.1.0", 307)
    assert report["coverage"]["champions"] == [
        {"model_version": "v1.0.0", "answers": 312, "scored": 307}
    ]
