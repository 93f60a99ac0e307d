"""A small domain of its own, unlike the bundled cohort: who will not pay back a loan."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from registry.configuration import Configuration, parse
from training.data import Dataset, check
from training.fit import Trained, train

TRAINING = {
    "seed": 5,
    "candidates": ["logistic_regression"],
    "folds": 3,
    "repeats": 1,
    "bootstrap_resamples": 100,
}
FEATURES = {
    "income": {"type": "number", "meaning": "a month", "hard_range": [0, 1000]},
    "age": {"type": "integer", "meaning": "in years", "soft_range": [20, 60], "optional": True},
    "region": {"type": "category", "meaning": "where", "levels": ["N", "S"], "closed": True},
    "shop": {"type": "category", "meaning": "number of a shop", "levels": ["1"], "optional": True},
    "debt": {"type": "number", "meaning": "now", "hard_range": [0, 500], "optional": True},
}


def content(**training: Any) -> dict[str, Any]:
    """What stands in the YAML file."""
    return {
        "model": {
            "name": "loans",
            "target": "unpaid",
            "time_column": "month",
            "entity_column": "customer",
        },
        "features": FEATURES,
        "derived": {"burden": "debt / income"},
        "training": TRAINING | training,
    }


def configuration(**training: Any) -> Configuration:
    return parse(content(**training))


def write_configuration(path: Path, **training: Any) -> Path:
    path.write_text(yaml.safe_dump(content(**training), sort_keys=False))
    return path


def table(rows: int = 240, *, months: tuple[int, ...] = (9, 10), seed: int = 1) -> pd.DataFrame:
    """About two rows a customer, one row in ten without debt, one in twelve without a label."""
    rng = np.random.default_rng(seed)
    income = rng.uniform(20, 200, rows).round(1)
    debt = rng.uniform(0, 300, rows).round(1)
    risk = 1 / (1 + np.exp(-(1.5 * debt / income - 2)))
    frame = pd.DataFrame(
        {
            "customer": [f"C{number}" for number in rng.integers(0, rows // 2, rows)],
            "month": np.sort(rng.choice(months, rows)),
            "income": income,
            "age": pd.array(rng.integers(18, 70, rows), dtype="Int64"),
            "region": rng.choice(["N", "S"], rows),
            "shop": rng.choice(["1", "2", "3"], rows),
            "debt": debt,
            "unpaid": pd.array((rng.random(rows) < risk).astype(int), dtype="Int64"),
        }
    )
    frame.loc[rng.random(rows) < 0.1, ["debt", "age", "shop"]] = pd.NA
    frame.loc[np.arange(rows) % 12 == 11, "unpaid"] = pd.NA
    return frame


def dataset(frame: pd.DataFrame | None = None) -> Dataset:
    return check(table() if frame is None else frame, configuration())


def trained(frame: pd.DataFrame | None = None, **training: Any) -> Trained:
    return train(dataset(frame), configuration(**training), lambda step: None)
