"""What was answered, whoever answered: one short record for each row of a log, 16 bytes for its id
and no features, so that a million rows take some 40 MB."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.log import files as log_files
from monitoring.log import tables as log_tables
from monitoring.log.arrow_columns import numbers, raw
from monitoring.log.records import LogRecord, digests, parse, places
from monitoring.times import micros

_LINES = 8_192
_COLUMNS = ["prediction_id", "ts", "risk_score", "risk_label"]


@dataclass(frozen=True)
class Answers:
    """Arrays of shape (rows,); `times` are microseconds since 1970 UTC, `versions` places in
    `names`. As `read` gives them, the digests are distinct and sorted."""

    digests: NDArray[np.bytes_]
    times: NDArray[np.int64]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    versions: NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, rows: NDArray[Any]) -> "Answers":
        """The rows of a mask, or of positions."""
        return Answers(
            self.digests[rows],
            self.times[rows],
            self.scores[rows],
            self.flags[rows],
            self.versions[rows],
            self.names,
        )

    def find(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """The place of each prediction, shape (ids,); -1 where it is not among the answers."""
        return places(self.digests, digests(ids))


def read(root: Path, start: datetime, end: datetime) -> Answers:
    """The rows from `start` to before `end`, both aware, each prediction_id once.

    Raises:
        IntegrityError: a compacted file is damaged.
    """
    first, last = micros(start), micros(end)
    known: dict[str, int] = {}
    parts = []
    for day, folder in log_files.days(root).items():
        if start.astimezone(UTC).date() <= day <= end.astimezone(UTC).date():
            for part in _of_day(folder, known):
                parts.append(part.take((part.times >= first) & (part.times < last)))
    found = Answers(
        _joined([part.digests for part in parts], "S16"),
        _joined([part.times for part in parts], np.int64),
        _joined([part.scores for part in parts], np.float64),
        _joined([part.flags for part in parts], np.bool_),
        _joined([part.versions for part in parts], np.int32),
        tuple(known),
    )
    return found.take(np.unique(found.digests, return_index=True)[1])


def newest_version(root: Path) -> str | None:
    """The version of the last row of a log; None where it has none.

    Raises:
        IntegrityError: a compacted file is damaged.
    """
    for folder in reversed(log_files.days(root).values()):
        latest: tuple[int, str] | None = None
        for part in _of_day(folder, {}):
            last = int(part.times.argmax())
            found = (int(part.times[last]), part.names[part.versions[last]])
            latest = found if latest is None else max(latest, found)
        if latest is not None:
            return latest[1]
    return None


def _of_day(folder: Path, known: dict[str, int]) -> Iterator[Answers]:
    """The rows of a day as the files have them, some at a time, never none; `known` gives each
    version its place."""
    with log_files.opened(folder) as files:
        for table in files.tables:
            with log_tables.opened(table.stream) as parquet:
                for rows in parquet.iter_batches(columns=_COLUMNS, use_threads=False):
                    if rows.num_rows:
                        yield _of_rows(rows, table.version, known)
        for lines in files.lines:
            records = filter(None, (parse(line) for line, _ in log_files.lines(*lines)))
            while chunk := list(islice(records, _LINES)):
                yield _of_records(chunk, known)


def _of_rows(rows: pa.RecordBatch, version: str, known: dict[str, int]) -> Answers:
    place = known.setdefault(version, len(known))
    return Answers(
        digests(rows.column("prediction_id").to_pylist()),
        raw(rows.column("ts").cast(pa.int64())),
        numbers(rows.column("risk_score")),
        raw(rows.column("risk_label")) != 0,
        np.full(rows.num_rows, place, dtype=np.int32),
        tuple(known),
    )


def _of_records(records: Sequence[LogRecord], known: dict[str, int]) -> Answers:
    versions = [known.setdefault(record.version, len(known)) for record in records]
    return Answers(
        digests([record.prediction_id for record in records]),
        np.array([record.micros for record in records], dtype=np.int64),
        np.array([record.score for record in records], dtype=np.float64),
        np.array([record.label for record in records], dtype=np.bool_),
        np.array(versions, dtype=np.int32),
        tuple(known),
    )


def _joined(parts: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])
