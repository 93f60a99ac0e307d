"""Reading the inference log back, JSONL and Parquet alike, in batches of bounded size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitoring.log import files as log_files
from monitoring.log import tables as log_tables
from monitoring.log.arrow_columns import column, entity_bits, first_bits, numbers, raw
from monitoring.log.records import LogRecord, SeenIds, fits, parse
from monitoring.log.tables import ROW_GROUP, feature_column
from monitoring.reference.bins import Coded, Column
from monitoring.times import micros
from registry.schema import Schema

NOBODY = np.uint64(0)
_LINES = 8_192


def entity_codes(entities: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A code for whom each row is about, shape (rows,); a row without an entity is its own."""
    known, codes = np.unique(entities, return_inverse=True)
    alone = entities == NOBODY
    codes[alone] = len(known) + np.arange(np.count_nonzero(alone))
    return codes.astype(np.int64)


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


@dataclass(frozen=True)
class Tallies:
    """What the days that were read hold beside the rows: lines cut off at the end of a file, lines
    that are no record of their version, and rows of other versions within the window."""

    torn: int = 0
    invalid: int = 0
    other_versions: int = 0


@dataclass(frozen=True)
class _Span:
    """From `first` to before `last`, microseconds since 1970 UTC."""

    first: int
    last: int

    def holds(self, micros: int) -> bool:
        return self.first <= micros < self.last

    def mask(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (times >= self.first) & (times < self.last)


class LogReader:
    """Reads one version's rows out of the log while services append and compactions run.

    `tallies` is about the last call of `batches`, and complete once that is exhausted.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        self.tallies = Tallies()
        self._root = root
        self._kinds = schema.kinds

    def batches(self, query: Query) -> Iterator[Batch]:
        """The rows that the query asks for, in any order, at most 65,536 a batch.

        Within a day a prediction_id is read once: the parts hold none twice, of the lines that are
        not compacted the first with an id counts, and the commit of a part is the end of its lines.
        Nothing looks for an id in two days, nor, before the next compaction, for one that is in a
        part and in lines that somebody copied back.

        Raises:
            IntegrityError: a compacted file is damaged.
        """
        self.tallies = Tallies()
        span = _Span(micros(query.start), micros(query.end))
        first, last = query.start.astimezone(UTC).date(), query.end.astimezone(UTC).date()
        for day, folder in log_files.days(self._root).items():
            if first <= day <= last:
                with log_files.opened(folder) as files:
                    yield from self._of_day(files, query, span)

    def _of_day(self, files: log_files.OpenDay, query: Query, span: _Span) -> Iterator[Batch]:
        self._count(torn=files.torn, invalid=files.invalid)
        for table in files.tables:
            with log_tables.opened(table.stream) as parquet:
                if table.version == query.version:
                    yield from self._of_table(parquet, query, span)
                else:
                    self._count(other_versions=_rows_within(parquet, span))
        seen = SeenIds()
        for lines in files.lines:
            records = self._records(lines, query, span)
            while chunk := list(islice(records, _LINES)):
                novel = seen.novel([record.prediction_id for record in chunk])
                kept = [record for record, new in zip(chunk, novel, strict=True) if new]
                if kept:
                    yield self._of_records(kept, query)

    def _records(
        self, lines: log_files.OpenLines, query: Query, span: _Span
    ) -> Iterator[LogRecord]:
        for line, complete in log_files.lines(*lines):
            record = parse(line)
            if record is None:
                self._count(torn=not complete, invalid=complete)
            elif not span.holds(record.micros):
                continue
            elif record.version != query.version:
                self._count(other_versions=1)
            elif not fits(record.features, self._kinds):
                self._count(invalid=1)
            else:
                yield record

    def _of_table(self, parquet: pq.ParquetFile, query: Query, span: _Span) -> Iterator[Batch]:
        groups = [group for group in range(parquet.num_row_groups) if _times(parquet, group, span)]
        present = set(parquet.schema_arrow.names)
        wanted = {feature_column(name) for name in query.features} & present
        columns = ["ts", "risk_score", "risk_label", "entity", *sorted(wanted)]
        if query.ids:
            columns += ["prediction_id", "request_id", "period"]
        read = partial(parquet.iter_batches, ROW_GROUP, columns=columns, use_threads=False)
        # Group by group: over all at once, the next group is decoded before this one is let go.
        for rows in chain.from_iterable(read(row_groups=[group]) for group in groups):
            times = _micros_of(rows)
            mask = span.mask(times)
            if not mask.all():
                bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
                rows = rows.filter(
                    pa.BooleanArray.from_buffers(pa.bool_(), len(mask), [None, bits])
                )
                times = times[mask]
            if len(times):
                yield self._of_rows(rows, times, query)

    def _of_rows(self, rows: pa.RecordBatch, times: NDArray[np.int64], query: Query) -> Batch:
        places = {name: feature_column(name) for name in query.features}
        return Batch(
            times=times,
            scores=numbers(rows.column("risk_score")),
            flags=raw(rows.column("risk_label")) != 0,
            entities=entity_bits(rows.column("entity"), NOBODY),
            columns={
                name: column(
                    rows.column(place) if place in rows.schema.names else pa.nulls(len(times)),
                    text=self._kinds[name] == "category",
                )
                for name, place in places.items()
            },
            ids=_row_ids(rows) if query.ids else None,
        )

    def _of_records(self, records: Sequence[LogRecord], query: Query) -> Batch:
        keys = b"".join(record.entity or bytes(16) for record in records)
        ids = RowIds(
            [record.prediction_id for record in records],
            [record.request_id for record in records],
            [record.entity.hex() if record.entity else None for record in records],
            [record.period for record in records],
        )
        return Batch(
            times=np.array([record.micros for record in records], dtype=np.int64),
            scores=np.array([record.score for record in records], dtype=np.float64),
            flags=np.array([record.label for record in records], dtype=np.bool_),
            entities=first_bits(keys),
            columns={
                name: _values(
                    [record.features.get(name) for record in records],
                    text=self._kinds[name] == "category",
                )
                for name in query.features
            },
            ids=ids if query.ids else None,
        )

    def _count(self, *, torn: int = 0, invalid: int = 0, other_versions: int = 0) -> None:
        past = self.tallies
        self.tallies = Tallies(
            past.torn + torn, past.invalid + invalid, past.other_versions + other_versions
        )


def _row_ids(rows: pa.RecordBatch) -> RowIds:
    keys = rows.column("entity").to_pylist()
    return RowIds(
        rows.column("prediction_id").to_pylist(),
        rows.column("request_id").to_pylist(),
        [None if key is None else key.hex() for key in keys],
        rows.column("period").to_pylist(),
    )


def _values(values: Sequence[Any], *, text: bool) -> Column:
    if not text:
        return np.array(values, dtype=np.float64)
    levels = [level for level in dict.fromkeys(values) if level is not None]
    codes = {None: -1, **{level: code for code, level in enumerate(levels)}}
    return Coded(np.array([codes[value] for value in values], dtype=np.int32), tuple(levels))


def _times(parquet: pq.ParquetFile, group: int, span: _Span) -> int:
    """How many rows of a row group can lie within the span, by its statistics."""
    facts = parquet.metadata.row_group(group)
    place = parquet.schema_arrow.names.index("ts")
    known = facts.column(place).statistics
    if known is None or not known.has_min_max:
        return int(facts.num_rows)
    outside = known.max_raw < span.first or known.min_raw >= span.last
    return 0 if outside else int(facts.num_rows)


def _rows_within(parquet: pq.ParquetFile, span: _Span) -> int:
    groups = [group for group in range(parquet.num_row_groups) if _times(parquet, group, span)]
    batches = parquet.iter_batches(row_groups=groups, columns=["ts"], use_threads=False)
    return sum(int(span.mask(_micros_of(rows)).sum()) for rows in batches)


def _micros_of(rows: pa.RecordBatch) -> NDArray[np.int64]:
    return raw(rows.column("ts").cast(pa.int64()))
