"""Rows of the bundled cohort, and what a registered pipeline says of them by itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray

from registry.serialization import TRUSTED
from training.cohort import PeriodPlan, as_instances, generate_period


def cohort_rows(count: int, *, drift: Any = "none", seed: int = 11) -> list[dict[str, Any]]:
    """`count` distinct pupils of 2025 as a client sends them."""
    plan = PeriodPlan(period=2025, rows=count, drift=drift, seed=seed)
    sent = as_instances(generate_period(plan).rows)["instances"]
    return [{str(name): value for name, value in row.items()} for row in sent]


def pipeline_scores(home: Path, version: str, rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """What the stored pipeline's own `predict_proba` gives for a plain DataFrame of the rows."""
    folder = home / "models" / "defasagem-risk" / version
    features = json.loads((folder / "schema.json").read_text())["features"]
    pipeline = skops.io.load(folder / "pipeline.skops", trusted=list(TRUSTED))
    frame = pd.DataFrame(index=range(len(rows)))
    for feature in features:
        values = [row.get(feature["name"]) for row in rows]
        kind = object if feature["type"] == "category" else float
        frame[feature["name"]] = pd.Series(values, dtype=kind)
    return np.asarray(pipeline.predict_proba(frame)[:, 1])


def logged(home: Path, log: str = "inference_log") -> list[dict[str, Any]]:
    """Every record of a log, as it stands in the files."""
    return [
        json.loads(line)
        for path in sorted((home / log).glob("dt=*/*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
