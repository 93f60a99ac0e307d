"""Loans in the inference log, written by the log's own writer, and labels by their own import."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from monitoring.labels import __main__ as labels
from monitoring.log.writing import EntityKeys, InferenceLog, ScoredRequest
from registry import loaded
from registry.state import State
from registry.validation import ValidRow

SECRET = "a secret of the tests"


class Loan(NamedTuple):
    """One prediction: its id, who and when, when it was made, and the features."""

    prediction_id: str
    customer: str | None
    month: int | None
    at: datetime
    income: float = 100.0
    age: int | None = 30
    region: str = "N"
    shop: str | None = "1"
    debt: float | None = 50.0


def log(state: State, loans: Sequence[Loan], version: str = "v1.0.0") -> None:
    """Score and log them, a request each."""
    folder = state.models / "loans" / version
    ready = loaded.load(folder, version, None, max_rows=1000)
    writer = InferenceLog(state.inference_log, EntityKeys(SECRET))
    for loan in loans:
        row = ValidRow(tuple(loan[4:]), loan.customer, loan.month)
        scores = ready.scorer.score([row.values]).tolist()
        request = ScoredRequest(
            f"r-{loan.prediction_id}", [loan.prediction_id], ready, [row], scores
        )
        writer.append([request], loan.at)


def loans_of(frame: pd.DataFrame, at: datetime, name: str = "p") -> list[Loan]:
    """The rows of `tests.training.tiny.table` as predictions."""
    names = ["income", "age", "region", "shop", "debt"]
    rows = frame.astype(object).where(frame.notna(), None)
    return [
        Loan(f"{name}-{at_row}", row["customer"], int(row["month"]), at, *(row[n] for n in names))
        for at_row, row in enumerate(rows.to_dict("records"))
    ]


def import_labels(folder: Path, *lines: str) -> None:
    """Import the lines of a CSV by the product's command."""
    path = folder / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    assert labels.main(["import", str(path)]) == 0
