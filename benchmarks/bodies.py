"""The requests that are sent, and the proof that both services answer them alike."""

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.servers import Server
from training.cohort import LATEST_LABELLED, PeriodPlan, as_instances, generate_period

_TOLERANCE = 1e-9
_COMPARED = 20


def make(rows: int, count: int) -> list[bytes]:
    """`count` bodies for POST /predict with `rows` rows each, no row twice."""
    period = generate_period(PeriodPlan(LATEST_LABELLED + 1, rows * count))
    instances = as_instances(period.rows)["instances"]
    parts = [instances[start : start + rows] for start in range(0, rows * count, rows)]
    return [json.dumps({"instances": part}).encode() for part in parts]


def compare(servers: Sequence[Server], bodies: Sequence[bytes]) -> None:
    """Send the first bodies to both services.

    Raises:
        BenchmarkError: a score, label, version or field differs.
    """
    for body in bodies[:_COMPARED]:
        ours, theirs = (server.predict(body) for server in servers)
        if not _same(ours, theirs):
            raise BenchmarkError("the services do not give the same answers to the same rows")


def _same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    return len(ours) == len(theirs) and all(
        mine.keys() == other.keys()
        and abs(mine["risk_score"] - other["risk_score"]) <= _TOLERANCE
        and mine["risk_label"] == other["risk_label"]
        and mine["model_version"] == other["model_version"]
        for mine, other in zip(ours, theirs, strict=True)
    )
