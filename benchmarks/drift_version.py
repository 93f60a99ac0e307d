"""A registered version with the twenty features, made by the project's own training."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import drift_data
from benchmarks.errors import BenchmarkError
from registry import configuration
from registry.configuration import Configuration
from registry.state import PROJECT, State
from training import artifacts
from training.data import check
from training.fit import train

MODEL = "bench-drift"
REFERENCE_ROWS = 10_000


@dataclass(frozen=True)
class Registered:
    """Where the version stands, its contract's digest, and the rows that it was made from."""

    state: State
    schema: str
    reference: Path

    def home_with_log(self, home: Path) -> State:
        """Another home with the same version, and an inference log of its own."""
        state = State(home)
        home.mkdir()
        state.models.symlink_to(self.state.models)
        return state


def make(folder: Path) -> Registered:
    """Train a logistic regression and register it in a home inside `folder`.

    Raises:
        BenchmarkError: it could not be registered; the reason stands on stderr.
    """
    settings = _configuration()
    rows = drift_data.training_rows(REFERENCE_ROWS)
    trained = train(check(rows, settings), settings, lambda step: None)
    source = {"name": "synthetic rows", "sha256": "0" * 64, "rows": len(rows)}
    artifacts.write(trained, settings, source, folder / "artifacts")
    state = State(folder / "home")
    command = ["registry", "register", "--version", drift_data.VERSION]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--artifacts", str(folder / "artifacts")],
        cwd=PROJECT,
        env=environment(state),
        stdout=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"python -m registry ended with exit code {done.returncode}")
    reference = folder / "reference.parquet"
    rows[list(drift_data.NAMES)].to_parquet(reference)
    return Registered(state, settings.schema.digest(), reference)


def environment(state: State) -> dict[str, str]:
    """What a command needs to work in `state`."""
    return {**os.environ, "BENTOML_HOME": str(state.home), "BENTOML_DO_NOT_TRACK": "True"}


def _configuration() -> Configuration:
    return configuration.parse(
        {
            "model": {
                "name": MODEL,
                "target": "target",
                "time_column": "year",
                "entity_column": "entity",
            },
            "features": {name: _feature(name) for name in drift_data.NAMES},
            "training": {
                "candidates": ["logistic_regression"],
                "folds": 3,
                "repeats": 1,
                "bootstrap_resamples": 100,
            },
        }
    )


def _feature(name: str) -> Mapping[str, Any]:
    return {
        "type": drift_data.kind_of(name).type,
        "meaning": name.replace("_", " "),
        "optional": True,
    }
