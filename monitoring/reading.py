"""Reading the inference log back, JSONL and Parquet alike, in batches of bounded size."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from monitoring.profile import Column

NOBODY = np.uint64(0)


@dataclass(frozen=True)
class Query:
    """Which rows to read: of one version, from `start` to before `end` (both aware), with the
    columns of `features`; with `ids`, also who and which request each row is."""

    version: str
    start: datetime
    end: datetime
    features: tuple[str, ...]
    ids: bool = False


@dataclass(frozen=True)
class RowIds:
    """Of each row, lists of length (rows,): the two ids, the entity's key (HMAC) or None, and the
    period that was sent or None."""

    prediction_ids: list[str]
    request_ids: list[str]
    entity_keys: list[str | None]
    periods: list[int | None]


@dataclass(frozen=True)
class Batch:
    """Some rows of the log, arrays of shape (rows,).

    `times` are microseconds since 1970 UTC. `entities` are the first 64 bits of each entity's key,
    `NOBODY` where none was logged. Numbers are float64 with NaN for null, texts are `Coded`.
    """

    times: NDArray[np.int64]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    entities: NDArray[np.uint64]
    columns: Mapping[str, Column]
    ids: RowIds | None = None

    def __len__(self) -> int:
        return len(self.times)
