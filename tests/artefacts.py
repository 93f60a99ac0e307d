"""Artefacts of a real, small version, trained in seconds, for tests that need more than bytes."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from registry import configuration, manifest
from registry.configuration import Configuration
from registry.state import State
from training import artifacts
from training.data import check
from training.fit import Trained, train

MODEL = "tiny-risk"


def tiny_configuration() -> Configuration:
    """Three features, one derived column, one candidate."""
    return configuration.parse(
        {
            "model": {
                "name": MODEL,
                "target": "at_risk",
                "time_column": "year",
                "entity_column": "pupil",
            },
            "features": {
                "age": {"type": "integer", "meaning": "years", "hard_range": [3, 99]},
                "mark": {
                    "type": "number",
                    "meaning": "mean mark",
                    "hard_range": [0, 10],
                    "optional": True,
                },
                "school": {
                    "type": "category",
                    "meaning": "kind of school",
                    "levels": ["public", "private"],
                    "optional": True,
                },
            },
            "derived": {"mark_per_year": "mark / age"},
            "training": {
                "candidates": ["logistic_regression"],
                "folds": 3,
                "repeats": 1,
                "bootstrap_resamples": 100,
            },
        }
    )


def tiny_rows(variation: int = 0, rows: int = 200) -> pd.DataFrame:
    """Labelled rows of two years; a low mark makes the label likely. Other rows a `variation`."""
    rng = np.random.default_rng(variation)
    mark = rng.uniform(0, 10, rows).round(1)
    return pd.DataFrame(
        {
            "age": rng.integers(6, 20, rows),
            "mark": np.where(rng.uniform(size=rows) < 0.05, np.nan, mark),
            "school": rng.choice(["public", "private"], rows),
            "year": rng.choice([2022, 2023], rows),
            "pupil": np.arange(rows),
            "at_risk": (rng.uniform(size=rows) < 1 / (1 + np.exp(mark - 5))).astype(int),
        }
    )


def tiny_trained(variation: int = 0) -> Trained:
    """The whole protocol on `tiny_rows`."""
    settings = tiny_configuration()
    return train(check(tiny_rows(variation), settings), settings, lambda step: None)


def write(trained: Trained, folder: Path, variation: int = 0) -> Path:
    """Write the artefacts of a trained version into `folder`."""
    source = {"name": f"tiny rows {variation}", "sha256": "0" * 64, "rows": 200}
    artifacts.write(trained, tiny_configuration(), source, folder)
    return folder


def build(folder: Path, variation: int = 0) -> Path:
    """Train and write artefacts into `folder`; two variations are two different versions."""
    return write(tiny_trained(variation), folder, variation)


def install(state: State, artefacts: Path, version: str, model: str = MODEL) -> None:
    """What register makes, without BentoML."""
    folder = state.models / model / version
    shutil.copytree(artefacts, folder, ignore=shutil.ignore_patterns(manifest.HELD_OUT))
    state.held_out.mkdir(parents=True, exist_ok=True)
    shutil.copy(artefacts / manifest.HELD_OUT, state.held_out / f"{version}.parquet")
