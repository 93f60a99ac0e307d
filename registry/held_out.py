"""The labelled rows that evaluated a version, so that later ones can be compared on them.

They are real people's rows: they stand beside a version and never in it, so that no model folder,
Bento or container image carries them. The version's provenance holds their sha256.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from registry import manifest
from registry.errors import IntegrityError

FILE = manifest.HELD_OUT
_TARGET, _ENTITY, _SCORE = "#target", "#entity", "#score"  # no feature can have such a name
_PROTOCOL = b"protocol"


@dataclass(frozen=True)
class HeldOut:
    """Rows with what their version said of them out of sample; arrays of shape (rows,).

    `columns`: feature name to float64 with NaN or objects with None; `target`: 0 or 1; `entities`:
    codes from 0, never an id; `protocol`: `temporal`, or `cross-validation` where the version was
    fitted on these rows and `scores` are out of fold.
    """

    columns: dict[str, NDArray[Any]]
    target: NDArray[np.int8]
    entities: NDArray[np.int64]
    scores: NDArray[np.float64]
    protocol: str
    sha256: str


def to_bytes(
    columns: Mapping[str, NDArray[Any]],
    target: NDArray[np.int8],
    entities: NDArray[np.int64],
    scores: NDArray[np.float64],
    *,
    protocol: str,
) -> bytes:
    """The Parquet file; the same bytes for the same rows. Entities are numbered anew from 0."""
    arrays = {
        name: pa.array(values, _kind(values), from_pandas=True) for name, values in columns.items()
    }
    arrays[_TARGET] = pa.array(target, pa.int8())
    arrays[_ENTITY] = pa.array(np.unique(entities, return_inverse=True)[1], pa.int64())
    arrays[_SCORE] = pa.array(scores, pa.float64())
    table = pa.table(arrays).replace_schema_metadata({_PROTOCOL: protocol.encode()})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def read(path: Path, sha256: str) -> HeldOut:
    """Read the rows that a version's provenance names.

    Raises:
        IntegrityError: the file cannot be read, is not the one of `sha256`, or holds no such rows.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise IntegrityError(f"{path}: the bytes are not those that the version's provenance names")
    try:
        table = pq.read_table(io.BytesIO(content))
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        return HeldOut(
            target=columns.pop(_TARGET).astype(np.int8),
            entities=columns.pop(_ENTITY).astype(np.int64),
            scores=columns.pop(_SCORE).astype(np.float64),
            columns=columns,
            protocol=table.schema.metadata[_PROTOCOL].decode(),
            sha256=sha256,
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path}: holds no held-out rows") from error


def _kind(values: NDArray[Any]) -> pa.DataType:
    return pa.string() if values.dtype == object else pa.float64()
