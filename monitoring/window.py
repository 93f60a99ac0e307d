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
    kept: list[dict[str, Any]] = []
    seen: set[str] = set()
    torn = invalid = others = 0
    kinds = [(f.name, _TEXT if f.type == "category" else _NUMBER) for f in schema.features]
    for line, complete in _lines(root, start, end):
        record = _record(line, kinds)
        if record is None:
            torn, invalid = (torn, invalid + 1) if complete else (torn + 1, invalid)
        elif not first <= record["ts"] < last or record["prediction_id"] in seen:
            continue
        elif record["model_version"] != version:
            others += 1
        else:
            seen.add(record["prediction_id"])
            kept.append(record)
    known = [record["entity"] for record in kept if record["entity"] is not None]
    return Window(
        rows=len(kept),
        entities=len(set(known)) + len(kept) - len(known),
        columns=_columns(kept, schema),
        scores=np.array([record["risk_score"] for record in kept], dtype=np.float64),
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


def _record(line: bytes, kinds: list[tuple[str, set[type]]]) -> dict[str, Any] | None:
    """The record that a line holds; None where it is none, or of other types than the schema's."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    needed = {"prediction_id", "ts", "model_version", "features", "risk_score", "entity"}
    if not isinstance(record, dict) or not needed <= record.keys():
        return None
    texts = all(isinstance(record[key], str) for key in ("prediction_id", "ts", "model_version"))
    score = record["risk_score"]
    features = record["features"]
    if not texts or type(score) not in (float, int) or type(features) is not dict:
        return None
    return record if all(type(features.get(name)) in kind for name, kind in kinds) else None


def _columns(records: list[dict[str, Any]], schema: Schema) -> dict[str, NDArray[Any]]:
    """A feature that no record carries is left out: it was not in the contract then."""
    rows = [record["features"] for record in records]
    return {
        feature.name: column(
            [row.get(feature.name) for row in rows], numeric=feature.type != "category"
        )
        for feature in schema.features
    }


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
