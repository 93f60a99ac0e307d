"""The second domain, on real rows: departures from New York, with no line of code of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.server import PROJECT, Server, command

pytestmark = pytest.mark.long

CONFIGURATION = PROJECT / "tests/flights.yaml"
EXTRACT = PROJECT / "tests/data/flights_extract.parquet"


def instances(rows: pd.DataFrame, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as a client sends them: integers as integers, null where nothing is known."""
    columns = {}
    for feature in features:
        values = rows[feature["name"]]
        whole = feature["type"] == "integer"
        columns[feature["name"]] = [
            None if pd.isna(value) else int(value) if whole else value for value in values
        ]
    columns["entity_id"] = [None if pd.isna(value) else str(value) for value in rows["entity_id"]]
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def psi_by_hand(before: "pd.Series[Any]", now: "pd.Series[Any]") -> float:
    """PSI over the levels of a small category, half a count added to each bin."""
    levels = sorted(set(before.dropna()) | set(now.dropna()))
    first = np.array([(before == level).sum() + 0.5 for level in levels])
    second = np.array([(now == level).sum() + 0.5 for level in levels])
    p, q = first / first.sum(), second / second.sum()
    return float(((p - q) * np.log(p / q)).sum())


def test_january_to_march_train_a_service_that_scores_april(tmp_path: Path) -> None:
    home, artifacts = tmp_path / "home", tmp_path / "artifacts"
    extra: Any = {"DATATHON_CONFIGURATION": str(CONFIGURATION), "DATATHON_ENTITY_SECRET": "s"}
    flights = pd.read_parquet(EXTRACT)
    winter = tmp_path / "winter.parquet"
    flights[flights["period"] <= 3].to_parquet(winter, index=False)
    for arguments in (
        ("training.train", "--data", winter, "--output", artifacts),
        ("registry", "register", "--version", "v1.0.0", "--artifacts", artifacts),
        ("registry", "promote", "--version", "v1.0.0"),
    ):
        command(home, *arguments, **extra)

    april = flights[flights["period"] == 4]
    features = json.loads((artifacts / "schema.json").read_text())["features"]
    rows = instances(april, features)
    scores: list[float] = []
    with Server(home, **extra) as server:
        for start in range(0, len(rows), 1000):
            answer = server.predict(rows[start : start + 1000])
            assert answer.status_code == 200, answer.text
            scores += [prediction["risk_score"] for prediction in answer.json()]
    assert len(scores) == len(april)
    metrics = json.loads((artifacts / "metrics.json").read_text())
    # Scores mean something: late flights of April score higher than those on time.
    known = april["late"].notna().to_numpy()
    late = april["late"].to_numpy(dtype=float)[known] == 1
    ranks = pd.Series(np.array(scores)[known]).rank().to_numpy()
    auc = (ranks[late].mean() - (late.sum() + 1) / 2) / (~late).sum()
    assert auc > 0.55
    assert metrics["protocol"] == "temporal"

    done = command(home, "monitoring.drift_report", "--json", check=False, **extra)
    report = json.loads(done.stdout)
    assert done.returncode == {"green": 0, "yellow": 10, "red": 20}[report["status"]]
    assert report["rows"] == len(april)
    assert report["entities"] == april["entity_id"].nunique() + april["entity_id"].isna().sum()
    march = flights[(flights["period"] == 3) & flights["late"].notna()]
    reported = {feature["name"]: feature["psi"] for feature in report["features"]}
    expected = psi_by_hand(march["origin"], april["origin"])
    # Two bins more, UNSEEN and NULL, which are empty on both sides and so do not count.
    assert reported["origin"] == pytest.approx(expected, abs=1e-9)
