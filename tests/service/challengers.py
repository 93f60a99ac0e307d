"""Versions that score by a rule, slowly, or not at all, and requests that were answered."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.loaded import LoadedVersion
from registry.schema import Feature, Schema
from registry.validation import RowValidator, ValidRow, Value
from serving.exchange import Exchange

SCHEMA = Schema((Feature("x", "number", "a number"), Feature("y", "number", "another")))


class Scorer:
    """Gives a hundredth of the first value; may take its time, or do something else first."""

    def __init__(self, *, seconds: float = 0, first: Callable[[], None] | None = None) -> None:
        self.spans: list[tuple[float, float]] = []
        self.sizes: list[int] = []
        self._seconds = seconds
        self._first = first

    def score(self, rows: Sequence[tuple[Value, ...]]) -> NDArray[np.float64]:
        began = time.monotonic()
        if self._first is not None:
            self._first()
        time.sleep(self._seconds)
        self.sizes.append(len(rows))
        self.spans.append((began, time.monotonic()))
        return np.array([row[0] for row in rows], dtype=float) / 100


class Broken:
    """Fails as it is told to."""

    how = "raises"

    def score(self, rows: Sequence[tuple[Value, ...]]) -> NDArray[np.float64]:
        if self.how == "raises":
            raise ValueError("could not convert Maria 123.456.789-09")
        if self.how == "short":
            return np.zeros(len(rows) - 1)
        return np.full(len(rows), np.nan if self.how == "nan" else 0.5)


def version(name: str, scorer: Any, schema: Schema = SCHEMA) -> LoadedVersion:
    return LoadedVersion(
        model="m",
        version=name,
        digest=name,
        threshold=0.5,
        schema=schema,
        schema_digest=schema.digest(),
        validator=RowValidator(schema, 1000),
        scorer=scorer,
        metrics={},
        provenance={},
        examples=(),
    )


CHAMPION = version("v1.0.0", Scorer())


def exchange(*values: float, entity: str | None = None, y: float = 0.0) -> Exchange:
    rows = [ValidRow((value, y), entity, 2026 if entity else None) for value in values]
    scores = [0.5] * len(rows)
    return Exchange("r", version=CHAMPION, rows=rows, scores=scores)
