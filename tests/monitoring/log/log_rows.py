"""Rows of an inference log, written by hand, and what a reader makes of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.log.reading import Batch, LogReader, Query, Tallies
from monitoring.reference.bins import Coded
from registry.schema import Feature, Schema

SCHEMA = Schema(
    (
        Feature("age", "integer", "years"),
        Feature("grade", "number", "0 to 10"),
        Feature("kind", "category", "kind"),
    )
)
DAY = "2026-03-01"


def key(number: int) -> str:
    return f"{number:032x}"[::-1]


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "prediction_id": f"p-{number}",
        "request_id": f"r-{number}",
        "ts": "2026-03-01T12:00:00.000000Z",
        "model_version": "v1.0.0",
        "schema": "s",
        "features": {"age": number, "grade": number / 8, "kind": "a"},
        "risk_score": 0.5,
        "risk_label": 1,
        "entity": None,
        "period": None,
    } | changes


def write(root: Path, day: str, *records: Any, tail: str = "", name: str = "a") -> Path:
    folder = root / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one) if isinstance(one, dict) else one for one in records]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines) + tail)
    return path


class Read(NamedTuple):
    """Everything that a reader found, in the order of prediction ids."""

    prediction_ids: list[str]
    request_ids: list[str]
    entity_keys: list[str | None]
    periods: list[int | None]
    times: NDArray[np.int64]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    entities: NDArray[np.uint64]
    columns: dict[str, list[Any]]
    tallies: Tallies


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def batches(
    root: Path, start: str = DAY, end: str = "2026-03-02", *, ids: bool = True
) -> tuple[list[Batch], Tallies]:
    reader = LogReader(root, SCHEMA)
    query = Query("v1.0.0", moment(start), moment(end), SCHEMA.names, ids=ids)
    return list(reader.batches(query)), reader.tallies


def read(root: Path, start: str = DAY, end: str = "2026-03-02") -> Read:
    found, tallies = batches(root, start, end)
    ids = [one.ids for one in found if one.ids is not None]
    names = [name for one in ids for name in one.prediction_ids]
    order = sorted(range(len(names)), key=names.__getitem__)

    def sort(values: list[Any]) -> list[Any]:
        return [values[place] for place in order]

    def whole(name: str, kind: type) -> NDArray[Any]:
        values = [getattr(one, name) for one in found]
        return np.array(sort([value for part in values for value in part]), dtype=kind)

    return Read(
        sort(names),
        sort([value for one in ids for value in one.request_ids]),
        sort([value for one in ids for value in one.entity_keys]),
        sort([value for one in ids for value in one.periods]),
        whole("times", np.int64),
        whole("scores", np.float64),
        whole("flags", np.bool_),
        whole("entities", np.uint64),
        {
            name: sort([value for one in found for value in _plain(one.columns[name])])
            for name in SCHEMA.names
        },
        tallies,
    )


def _plain(values: Any) -> list[Any]:
    """Numbers and texts, None for null."""
    if isinstance(values, Coded):
        return list(values.texts())
    return [None if np.isnan(value) else float(value) for value in values]
