"""Evidently's verdict on windows against references; runs in an environment of its own.

Run by `python with_evidently.py TASKS.json ANSWERS.json` (see benchmarks/others/__init__.py).
"""

import os
import re
from typing import Any

os.environ["ITERATIVE_DO_NOT_TRACK"] = "1"  # read when Evidently is imported

import pandas as pd
from evidently import (  # type: ignore[import-not-found]
    BinaryClassification,
    DataDefinition,
    Dataset,
    Report,
)
from evidently.metrics import Recall  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]
from evidently.tests import gte  # type: ignore[import-not-found]

WAYS = {"default": {}, "psi": {"method": "psi"}}
IS_P_VALUE = re.compile("p_value")


def verdicts(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each column: the number that Evidently gives and whether it calls that drift."""
    definition = DataDefinition(
        numerical_columns=task["numeric"], categorical_columns=task["categorical"]
    )
    columns = task["numeric"] + task["categorical"]
    reference, window = (
        Dataset.from_pandas(
            pd.read_parquet(task[side], columns=columns), data_definition=definition
        )
        for side in ("reference", "window")
    )
    report = Report([DataDriftPreset(**WAYS[task["way"]])]).run(window, reference)
    found = {}
    for metric in report.dict()["metrics"]:
        config = metric["config"]
        if not config["type"].endswith(":ValueDrift"):
            continue
        value, threshold = float(metric["value"]), config["threshold"]
        alarm = value < threshold if IS_P_VALUE.search(config["method"]) else value >= threshold
        found[config["column"]] = {"value": value, "alarm": bool(alarm), "by": config["method"]}
    return found


def recall(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Evidently's test that the recall of the window is at least the task's floor."""
    roles = BinaryClassification(target="target", prediction_labels="prediction")
    window = Dataset.from_pandas(
        pd.read_parquet(task["window"]), data_definition=DataDefinition(classification=[roles])
    )
    found = Report([Recall(tests=[gte(task["floor"])])]).run(window).dict()
    value, status = found["metrics"][0]["value"], found["tests"][0]["status"]
    return {"recall": {"value": float(value), "alarm": "FAIL" in str(status), "by": "test"}}


def compare(task: dict[str, Any]) -> dict[str, Any]:
    """The verdicts on one task."""
    return recall(task) if task["way"] == "recall" else verdicts(task)
