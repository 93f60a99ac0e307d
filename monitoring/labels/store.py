"""What became known later about scored rows: every label ever imported, and which one counts.

    labels/.lock                          one import at a time
    labels/<UTC stamp>-<source>.parquet   the rows of one import that were news, never changed

A label is about a prediction, or about an entity (by its key, never its id) in a period. The label
that counts is the one observed last; of those observed at the same time, the one imported last.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitoring.denied import denied, explained, listed
from registry.errors import IntegrityError
from registry.state import exclusive, replace_file

PeriodRule: TypeAlias = Literal["year", "month", "day"]
Status: TypeAlias = Literal["label", "conflict"]
CurrentLabels: TypeAlias = pd.DataFrame
LabelHistory: TypeAlias = pd.DataFrame

_SCHEMA = pa.schema(
    {
        "prediction_id": pa.string(),
        "entity": pa.string(),
        "period": pa.int64(),
        "label": pa.int8(),
        "observed_at": pa.timestamp("us", tz="UTC"),
        "imported_at": pa.timestamp("us", tz="UTC"),
        "source": pa.string(),
        "status": pa.string(),
    }
)
_LOCK_SECONDS = 10.0


class Key(NamedTuple):
    """What a label is about: a prediction, or an entity (32 hex digits) in a period."""

    prediction_id: str | None
    entity: str | None
    period: int | None


class Entry(NamedTuple):
    """A label as it is stored; `observed` is microseconds since 1970 UTC."""

    key: Key
    label: int
    observed: int
    status: Status
    source: str


def period_of(times: NDArray[np.int64], rule: PeriodRule) -> NDArray[np.int64]:
    """The period of each time, microseconds since 1970 UTC: 2026, 202611 or 20261122."""
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    periods: NDArray[np.int64] = months.astype("datetime64[Y]").astype(np.int64) + 1970
    if rule != "year":
        periods = periods * 100 + months.astype(np.int64) % 12 + 1
    if rule == "day":
        periods = periods * 100 + (days - months).astype(np.int64) + 1
    return periods


class LabelStore:
    """The labels of one installation; no folder is made by looking at them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def history(self) -> LabelHistory:
        """Every row ever imported, in that order: prediction_id, or entity (32 hex digits) and
        period (Int64), null where they are not the key; label (Int8), observed_at, imported_at
        (UTC), source (start of the file's SHA-256) and status: `label`, or `conflict` for rows
        of one file that contradict each other about the same time.

        Raises:
            IntegrityError: a file of the store cannot be read.
            DeniedError: it, or the folder, is somebody else's.
        """
        return _frame(self._table())

    def current(self) -> CurrentLabels:
        """One row a key: prediction_id, entity, period, label (Int8, null where all that is known
        is a conflict), observed_at and imported_at of that label, revisions (how often the label
        changed), and conflict: whether contradicting rows are as new as it.

        Raises:
            IntegrityError: a file of the store cannot be read.
            DeniedError: it, or the folder, is somebody else's.
        """
        return _current(self._table())

    def known(self, keys: Iterable[Key]) -> dict[Key, list[Entry]]:
        """What is known of some keys, as imported.

        Raises:
            IntegrityError: a file of the store cannot be read.
            DeniedError: it, or the folder, is somebody else's.
        """
        table = self._table()
        wanted = set(keys)
        texts = pa.array({_text(key) for key in wanted}, pa.string())
        table = table.filter(pc.is_in(_texts(table), texts))
        found: dict[Key, list[Entry]] = {}
        about = (table.column(name).to_pylist() for name in Key._fields)
        told = (table.column(name).to_pylist() for name in ("status", "source"))
        times = table.column("observed_at").cast(pa.int64()).to_pylist()
        labels = table.column("label").to_pylist()
        for entry in map(Entry, map(Key, *about), labels, times, *told):
            found.setdefault(entry.key, []).append(entry)
        return found

    def add(self, entries: Sequence[Entry], now: datetime) -> Path:
        """Write the entries of one source as one file; all of them or none. The caller holds
        `alone`."""
        columns = [
            *zip(*(entry.key for entry in entries), strict=True),
            [entry.label for entry in entries],
            [entry.observed for entry in entries],
            [now] * len(entries),
            [entry.source for entry in entries],
            [entry.status for entry in entries],
        ]
        arrays = [
            pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)
        ]
        buffer = io.BytesIO()
        pq.write_table(pa.table(arrays, schema=_SCHEMA), buffer, compression="zstd")
        stamp = f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
        path = self._root / f"{stamp}-{entries[0].source}.parquet"
        replace_file(path, buffer.getvalue())
        return path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store against other imports.

        Raises:
            MovedError: someone else held it for more than ten seconds.
        """
        busy = "another import is writing labels; try again when it is done"
        with exclusive(self._root / ".lock", busy=busy, seconds=_LOCK_SECONDS):
            for left in self._root.glob(".*.parquet.*"):  # by an import that was killed
                left.unlink()
            yield

    def files(self) -> list[Path]:
        """The file of each import, in that order.

        Raises:
            DeniedError: the folder is somebody else's.
        """
        with explained(self._root):
            return listed(self._root, "*.parquet")

    def _table(self) -> pa.Table:
        tables = [_SCHEMA.empty_table(), *map(_read, self.files())]
        return pa.concat_tables(tables).combine_chunks()


def _text(key: Key) -> str:
    return key.prediction_id or f"{key.entity}:{key.period}"


def _texts(table: pa.Table) -> pa.ChunkedArray:
    """`_text` of each row."""
    period = table.column("period").cast(pa.string())
    by_entity = pc.binary_join_element_wise(table.column("entity"), period, ":")
    return pc.coalesce(table.column("prediction_id"), by_entity)


def _current(table: pa.Table) -> CurrentLabels:
    """The label in force of each key: the last in the order of observation, then of import."""
    keys = pc.dictionary_encode(_texts(table)).combine_chunks()
    codes = keys.indices.to_numpy().astype(np.int64)
    observed = table.column("observed_at").cast(pa.int64()).to_numpy()
    labels = table.column("label").to_numpy()
    is_label = np.asarray(pc.equal(table.column("status"), "label"), dtype=np.bool_)
    told = np.flatnonzero(is_label)
    told = told[np.lexsort((observed[told], codes[told]))]
    same_key = codes[told][1:] == codes[told][:-1]
    changed = told[1:][same_key & (labels[told][1:] != labels[told][:-1])]
    against = np.full(len(keys.dictionary), np.iinfo(np.int64).min)
    np.maximum.at(against, codes[~is_label], observed[~is_label])
    latest = told[np.append(~same_key, True)[: len(told)]]
    undecided = np.setdiff1d(codes, codes[latest])
    rows = np.concatenate([latest, _first_of(codes, undecided)])
    frame = _frame(table.select([*Key._fields, "label", "observed_at", "imported_at"]).take(rows))
    frame.loc[len(latest) :, "label"] = pd.NA
    revisions = np.bincount(codes[changed], minlength=len(keys.dictionary))
    return frame.assign(
        revisions=revisions[codes[rows]], conflict=against[codes[rows]] >= observed[rows]
    )


def _first_of(codes: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first place of each wanted code."""
    distinct, places = np.unique(codes, return_index=True)
    found: NDArray[np.int64] = places[np.isin(distinct, wanted)]
    return found


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=_SCHEMA)
    except PermissionError as error:
        raise denied(path, path.parent) from error
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{path} cannot be read; restore it from a backup") from error


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype({"period": "Int64", "label": "Int8"})
