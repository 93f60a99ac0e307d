"""A real version to watch the streams with, made once by the project's own training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.alarms_streams import Columns, Feature
from registry import configuration, loaded
from registry.loaded import LoadedVersion
from training import artifacts
from training.data import check
from training.fit import train

VERSION = "v1.0.0"
ROWS = 2_000


def make(
    folder: Path, features: Mapping[str, Feature], columns: Columns, lean: Mapping[str, float]
) -> None:
    """Write a version into `folder`: a logistic regression of a label that leans on the features of
    `lean`, by so many log odds a standard deviation."""
    settings = configuration.parse(
        {
            "model": {"name": "bench-alarms", "target": "target", "time_column": "year"},
            "features": {name: {**f.entry, "meaning": name} for name, f in features.items()},
            "training": {
                "candidates": ["logistic_regression"],
                "folds": 3,
                "repeats": 1,
                "bootstrap_resamples": 100,
            },
        }
    )
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(columns)
    odds = sum(weight * _standardized(rows[name]) for name, weight in lean.items())
    rows["target"] = (rng.random(len(rows)) < 1 / (1 + np.exp(-odds))).astype(int)
    rows["year"] = rng.choice([2024, 2025], len(rows))
    trained = train(check(rows, settings), settings, lambda step: None)
    source = {"name": "synthetic rows", "sha256": "0" * 64, "rows": len(rows)}
    artifacts.write(trained, settings, source, folder)


def load(folder: Path) -> LoadedVersion:
    """The version that `make` wrote."""
    return loaded.load(folder, VERSION, None, max_rows=1, held_out=True)


def scores(version: LoadedVersion, columns: Columns) -> Any:
    """The model's scores of the rows, shape (rows,)."""
    order = [columns[name] for name in version.schema.names]
    texts = [values.dtype == object for values in order]
    parts = [
        values.tolist() if text else [None if v != v else v for v in values.tolist()]
        for values, text in zip(order, texts, strict=True)
    ]
    return version.scorer.score(list(zip(*parts, strict=True)))


def _standardized(values: "pd.Series[Any]") -> Any:
    return ((values - values.mean()) / values.std()).fillna(0.0)
