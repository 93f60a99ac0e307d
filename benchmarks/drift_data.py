"""Rows with twenty numeric features: some to train on, and a day's log of as many as wanted.

The values are of the kinds that services log, not random mantissas, which nothing compresses: marks
with one decimal, measures with three, sensors in single precision, counts, a column of mostly
zeros; a third of the columns has nulls. Entities repeat, four rows each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitoring.log import files as log_files
from monitoring.log.tables import ROW_GROUP

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], NDArray[np.floating[Any]]]

VERSION = "v1.0.0"
ROWS_PER_ENTITY = 4
ROWS_PER_REQUEST = 100
_SEED = 20_260
_DAY_US = 86_400_000_000
_OTHER = np.uint64(1 << 40)  # sets ids of another kind apart
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


@dataclass(frozen=True)
class Kind:
    """One kind of column: its type in the contract, how many there are, how they are drawn."""

    type: str
    count: int
    draw: Draw


KINDS = {
    "mark": Kind("number", 4, lambda rng, n: np.clip(rng.normal(6.5, 1.9, n), 0, 10).round(1)),
    "measure": Kind("number", 5, lambda rng, n: rng.normal(50, 12, n).round(3)),
    "amount": Kind("number", 3, lambda rng, n: rng.lognormal(4, 1, n).round(2)),
    "sensor": Kind("number", 4, lambda rng, n: rng.normal(0, 1, n).astype(np.float32)),
    "count": Kind("integer", 3, lambda rng, n: rng.poisson(4, n).astype(float)),
    "rare": Kind("number", 1, lambda rng, n: rng.binomial(1, 0.1, n) * rng.gamma(2, 3, n).round(2)),
}
NAMES = tuple(f"{kind}_{n}" for kind, made in KINDS.items() for n in range(made.count))
_NULL_SHARES = (0.0, 0.0, 0.03)


def kind_of(name: str) -> Kind:
    """The kind of the feature `name`."""
    return KINDS[name.partition("_")[0]]


def columns(rng: np.random.Generator, rows: int) -> dict[str, Floats]:
    """Every feature: shape (rows,), NaN for null."""
    drawn = {}
    for position, name in enumerate(NAMES):
        values = kind_of(name).draw(rng, rows).astype(np.float64)
        missing = rng.random(rows) < _NULL_SHARES[position % len(_NULL_SHARES)]
        drawn[name] = np.where(missing, np.nan, values)
    return drawn


def training_rows(rows: int) -> pd.DataFrame:
    """Labelled rows of two years, about as many entities; the label leans on two features."""
    rng = np.random.default_rng(_SEED)
    features = columns(rng, rows)
    frame = pd.DataFrame(features)
    frame["year"] = rng.choice([2024, 2025], rows)
    frame["entity"] = np.arange(rows)
    frame["target"] = (rng.random(rows) < _score(rng, features)).astype(int)
    return frame


def write_log(root: Path, *, rows: int, day: date, schema: str) -> Path:
    """Write a compacted day of the log, row group by row group, so that memory stays small; the
    one Parquet file. Rows are in order of time, as of one process; `schema` is the contract's
    digest."""
    folder = root / f"dt={day.isoformat()}"
    folder.mkdir(parents=True)
    with log_files.new_part(folder) as temporary:
        name = f"{VERSION}.parquet"
        writer = None
        for part in _parts(rows, day=day, schema=schema):
            writer = writer or pq.ParquetWriter(temporary / name, part.schema, compression="zstd")
            writer.write_table(part, row_group_size=ROW_GROUP)
        if writer is not None:
            writer.close()
        return log_files.commit(temporary, [], {"torn": 0, "invalid": 0}) / name


def _parts(rows: int, *, day: date, schema: str) -> Iterator[pa.Table]:
    midnight = int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000
    for start in range(0, rows, ROW_GROUP):
        rng = np.random.default_rng((_SEED, start))
        numbers = np.arange(start, min(start + ROW_GROUP, rows))
        features = columns(rng, len(numbers))
        yield layout(
            features,
            times=midnight + (numbers / rows * _DAY_US).astype(np.int64),
            scores=_score(rng, features),
            row_numbers=numbers.astype(np.uint64),
            schema=schema,
        )


def layout(
    features: dict[str, Floats],
    *,
    times: NDArray[np.int64],
    scores: Floats,
    row_numbers: NDArray[np.uint64],
    schema: str,
) -> pa.Table:
    """Rows as `monitoring.compact` writes them: the same columns and types, made without a Python
    object for each value."""
    size = len(times)
    requests = row_numbers // ROWS_PER_REQUEST
    turns = (row_numbers % ROWS_PER_REQUEST).astype(np.uint8)
    suffix = np.column_stack([np.full(size, ord("-")), turns // 10 + 48, turns % 10 + 48])
    ids = np.concatenate([_hexadecimal(requests, 24), suffix.astype(np.uint8)], axis=1)
    texts = pa.dictionary(pa.int32(), pa.string())
    numbers = {"number": pa.float64(), "integer": pa.int64()}
    return pa.table(
        {
            "prediction_id": _texts(ids),
            "request_id": _texts(_hexadecimal(requests + _OTHER, 32)),
            "ts": pa.array(times, type=pa.timestamp("us", tz="UTC")),
            "model_version": pa.array([VERSION] * size, type=texts),
            "schema": pa.array([schema] * size, type=texts),
            "risk_score": pa.array(scores),
            "risk_label": pa.array((scores >= 0.5).astype(np.int8)),
            "entity": pa.array(_keys(row_numbers), type=pa.binary(16)),
            "period": pa.nulls(size, pa.int64()),
            **{
                name: pa.array(values, from_pandas=True).cast(numbers[kind_of(name).type])
                for name, values in features.items()
            },
        }
    )


def _score(rng: np.random.Generator, features: dict[str, Floats]) -> Floats:
    mark, measure = (np.nan_to_num(features[name], nan=0.0) for name in ("mark_0", "measure_0"))
    z = 0.8 * (6.5 - mark) + 0.05 * (measure - 50) + rng.normal(0, 0.5, len(mark))
    return np.asarray(1 / (1 + np.exp(-z)))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Splitmix64 (Steele, Lea and Flood 2014): numbers that look random and are not."""
    z = numbers * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _keys(row_numbers: NDArray[np.uint64]) -> list[bytes]:
    """The key of whom each row is about: among a row group's rows, a quarter as many."""
    chosen = _mixed(row_numbers) % np.uint64(ROW_GROUP // ROWS_PER_ENTITY)
    octets = _octets(chosen + row_numbers // ROW_GROUP * np.uint64(ROW_GROUP) + _OTHER * 2)
    return np.ascontiguousarray(octets).view("V16").ravel().tolist()


def _octets(numbers: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Sixteen bytes, shape (rows, 16), that differ wherever the numbers do."""
    twice = numbers * np.uint64(2)
    return np.column_stack([_mixed(twice), _mixed(twice + np.uint64(1))]).view(np.uint8)


def _hexadecimal(numbers: NDArray[np.uint64], digits: int) -> NDArray[np.uint8]:
    """ASCII digits, shape (rows, digits), that differ wherever the numbers do."""
    octets = _octets(numbers)
    both = np.stack([_HEX[octets >> 4], _HEX[octets & 15]], axis=2)
    return both.reshape(len(numbers), 32)[:, :digits]


def _texts(characters: NDArray[np.uint8]) -> pa.StringArray:
    rows, width = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    data = np.ascontiguousarray(characters)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))
