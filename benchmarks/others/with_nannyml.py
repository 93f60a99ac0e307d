"""NannyML's verdict on windows against references; runs in an environment of its own.

Run by `python with_nannyml.py TASKS.json ANSWERS.json` (see benchmarks/others/__init__.py).
"""

import os
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # read when NannyML is imported

import pandas as pd
from nannyml import (  # type: ignore[import-not-found]
    PerformanceCalculator,
    UnivariateDriftCalculator,
)


def verdicts(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each column: the largest distance of a chunk, and whether a chunk is called drift.

    The way "default" leaves the chunks to NannyML (ten), "window" takes chunks as long as the
    window, so that the window is one of them.
    """
    columns = task["numeric"] + task["categorical"]
    reference, window = (
        pd.read_parquet(task[side], columns=columns) for side in ("reference", "window")
    )
    chunks = {} if task["way"] == "default" else {"chunk_size": len(window)}
    calculator = UnivariateDriftCalculator(
        column_names=columns, treat_as_categorical=task["categorical"], **chunks
    )
    calculator.fit(reference)
    frame = calculator.calculate(window).filter(period="analysis").to_df()
    found = {}
    for column in columns:
        method = frame[column].columns.get_level_values(0)[0]
        facts = frame[column][method]
        found[column] = {
            "value": float(facts["value"].max()),
            "alarm": bool(facts["alert"].any()),
            "by": method,
        }
    return found


def recall(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """NannyML's realised recall of the window, one chunk, against its own threshold."""
    reference, window = (pd.read_parquet(task[side]) for side in ("reference", "window"))
    calculator = PerformanceCalculator(
        problem_type="classification_binary",
        y_true="target",
        y_pred="prediction",
        y_pred_proba="score",
        metrics=["recall"],
        chunk_size=len(window),
    )
    calculator.fit(reference)
    facts = calculator.calculate(window).filter(period="analysis").to_df()["recall"].iloc[0]
    return {
        "recall": {
            "value": float(facts["value"]),
            "alarm": bool(facts["alert"]),
            "by": "3 sd of reference chunks",
        }
    }


def compare(task: dict[str, Any]) -> dict[str, Any]:
    """The verdicts on one task."""
    return recall(task) if task["way"] == "recall" else verdicts(task)
