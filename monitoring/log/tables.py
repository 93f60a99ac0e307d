"""The compacted log as Parquet: which columns a part has, and how records become them.

A feature is a column under its own name (`feature:<name>` where the log has a column of that name):
float64, int64 or dictionary-coded text.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from monitoring.log import files as log_files
from monitoring.log.records import LogRecord
from registry.errors import IntegrityError
from registry.schema import FeatureType

ROW_GROUP = 65_536
_TEXT = pa.dictionary(pa.int32(), pa.string())
_OWN = pa.schema(
    {
        "prediction_id": pa.string(),
        "request_id": pa.string(),
        "ts": pa.timestamp("us", tz="UTC"),
        "model_version": _TEXT,
        "schema": _TEXT,
        "risk_score": pa.float64(),
        "risk_label": pa.int8(),
        "entity": pa.binary(16),
        "period": pa.int64(),
    }
)
_FEATURES = {"number": pa.float64(), "integer": pa.int64(), "category": _TEXT}


def feature_column(name: str) -> str:
    """The column that holds a feature."""
    return f"feature:{name}" if name in _OWN.names else name


@contextmanager
def opened(source: Path | BinaryIO) -> Iterator[pq.ParquetFile]:
    """A part's file to read from within the block, one row group in memory at a time.

    Raises:
        IntegrityError: at any time, that it is damaged.
    """
    name = source if isinstance(source, Path) else source.name
    try:
        with pq.ParquetFile(source, pre_buffer=False) as table:
            yield table
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise IntegrityError(
            f"{name}: no readable Parquet; restore it from a backup, or move it away and its rows "
            "are lost"
        ) from error


class PartTable:
    """Writes one version's rows into a Parquet file, a row group at a time."""

    def __init__(self, path: Path, kinds: Mapping[str, FeatureType]) -> None:
        self.kinds = kinds
        self.rows = 0
        self._schema = _OWN
        for name, kind in kinds.items():
            self._schema = self._schema.append(pa.field(feature_column(name), _FEATURES[kind]))
        self._waiting: list[pa.Table] = []
        log_files.create(path)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, records: Sequence[LogRecord]) -> None:
        self._waiting.append(self._table(records))
        self.rows += len(records)
        if sum(table.num_rows for table in self._waiting) >= ROW_GROUP:
            self._write(whole_groups=True)

    def finish(self) -> None:
        """Write what is waiting and the footer."""
        self._write(whole_groups=False)
        self._writer.close()

    def _write(self, *, whole_groups: bool) -> None:
        waiting = pa.concat_tables(self._waiting) if self._waiting else self._table([])
        rows = waiting.num_rows // ROW_GROUP * ROW_GROUP if whole_groups else waiting.num_rows
        if rows:
            # Codes come last: before, each batch would have a dictionary of its own.
            table = waiting.slice(0, rows).cast(self._schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._waiting = [waiting.slice(rows)]

    def _table(self, records: Sequence[LogRecord]) -> pa.Table:
        first = (
            *("prediction_id", "request_id", "micros", "version", "schema"),
            *("score", "label", "entity", "period"),
        )
        columns = [[getattr(record, name) for record in records] for name in first]
        columns += [_values(records, name, kind) for name, kind in self.kinds.items()]
        types = [pa.string() if field.type == _TEXT else field.type for field in self._schema]
        arrays = [pa.array(values, type=kind) for values, kind in zip(columns, types, strict=True)]
        return pa.table(arrays, names=self._schema.names)


def _values(records: Sequence[LogRecord], name: str, kind: FeatureType) -> list[Any]:
    """A feature of each record; Arrow takes no whole number beyond 2**53 for a float64."""
    values = [record.features.get(name) for record in records]
    if kind != "number":
        return values
    return [None if value is None else float(value) for value in values]
