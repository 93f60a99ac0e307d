"""Reading the inference log back: the rows of one version in a span of time, as columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.pipeline import column
from registry.schema import Schema

_NUMBER: set[type] = {float, int, type(None)}
_TEXT: set[type] = {str, type(None)}


_RECORD: dict[str, set[type]] = {
    "prediction_id": {str},
    "ts": {str},
    "model_version": {str},
    "features": {dict},
    "risk_score": {float, int},
    "entity": _TEXT,
}


@dataclass(frozen=True)
class Window:
    """What the log holds for one version from `start` to before `end` (UTC).

    `columns` as in training, of shape (rows,); `scores` of shape (rows,); `entities` counts whom
    the rows are about (a row without an entity is its own); `torn` and `invalid` are lines that
    could not be used: cut off at the end of a file, or no record.
    """

    rows: int
    entities: int
    columns: dict[str, NDArray[Any]]
    scores: NDArray[np.float64]
    torn: int
    invalid: int
    other_versions: int


def read(root: Path, schema: Schema, version: str, start: datetime, end: datetime) -> Window:
    """Read the window; both times are aware. A line that cannot be used is counted, not fatal."""
    first, last = _stamp(start), _stamp(end)
    seen: set[str] = set()
    entities: set[str] = set()
    anonymous = torn = invalid = others = 0
    scores: list[float] = []
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    kinds = [_TEXT if f.type == "category" else _NUMBER for f in schema.features]
    for line, complete in _lines(root, start, end):
        record = _record(line)
        if record is None:
            torn, invalid = (torn, invalid + 1) if complete else (torn + 1, invalid)
            continue
        if not first <= record["ts"] < last or record["prediction_id"] in seen:
            continue
        if record["model_version"] != version:
            others += 1
            continue
        values = [record["features"].get(name) for name in columns]
        if not all(type(value) in kind for value, kind in zip(values, kinds, strict=True)):
            invalid += 1
            continue
        seen.add(record["prediction_id"])
        scores.append(record["risk_score"])
        for kept, value in zip(columns.values(), values, strict=True):
            kept.append(value)
        if record["entity"] is None:
            anonymous += 1
        else:
            entities.add(record["entity"])
    return Window(
        rows=len(scores),
        entities=len(entities) + anonymous,
        columns={
            feature.name: column(columns[feature.name], numeric=feature.type != "category")
            for feature in schema.features
        },
        scores=np.array(scores, dtype=np.float64),
        torn=torn,
        invalid=invalid,
        other_versions=others,
    )


def _lines(root: Path, start: datetime, end: datetime) -> Iterator[tuple[bytes, bool]]:
    """Each line of the days from `start` to `end`, and whether it ends in a newline."""
    day = start.date()
    while day <= end.date():
        for path in sorted((root / f"dt={day.isoformat()}").glob("*.jsonl")):
            with path.open("rb") as stream:
                for line in stream:
                    yield line, line.endswith(b"\n")
        day += timedelta(days=1)


def _record(line: bytes) -> dict[str, Any] | None:
    """The record that a line holds; None where it is none."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if type(record) is not dict:
        return None
    right = all(type(record.get(key)) in kinds for key, kinds in _RECORD.items())
    return record if right else None


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
