"""Arrow's arrays as the columns that reports count: numpy, without a copy where nothing is null.

Arrow's own to_numpy would load pandas, which takes 50 MB and a third of a second.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.reference.bins import Coded, Column


def column(values: pa.Array, *, text: bool) -> Column:
    """Numbers with NaN for null, or coded texts. A feature that was always null may have been
    stored as either."""
    if not text:
        return numbers(values)
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.string()).dictionary_encode()
    codes = raw(values.indices)
    if values.null_count:
        codes = np.where(_nulls(values), -1, codes)
    return Coded(codes.astype(np.int32, copy=False), tuple(values.dictionary.to_pylist()))


def numbers(values: pa.Array) -> NDArray[np.float64]:
    """Without a copy where nothing is null and the type is right."""
    if values.null_count == len(values):
        return np.full(len(values), np.nan)
    numbers = raw(values).astype(np.float64, copy=False)
    return np.where(_nulls(values), np.nan, numbers) if values.null_count else numbers


def entity_bits(values: pa.Array, nobody: np.uint64) -> NDArray[np.uint64]:
    """`first_bits` of 16-byte keys, `nobody` for null."""
    if values.null_count == len(values):
        return np.full(len(values), nobody)
    start, length = 16 * values.offset, 16 * len(values)
    bits = first_bits(memoryview(values.buffers()[1])[start : start + length])
    return np.where(_nulls(values), nobody, bits) if values.null_count else bits


def raw(values: pa.Array) -> NDArray[Any]:
    """The values themselves, anything where null."""
    plain = [None, values.buffers()[1]]
    return np.from_dlpack(
        pa.Array.from_buffers(values.type, len(values), plain, offset=values.offset)
    )


def first_bits(keys: bytes | memoryview) -> NDArray[np.uint64]:
    """The first half of each 16-byte key, as a number that starts with the key's first digit."""
    return np.frombuffer(keys, dtype=">u8")[::2].astype(np.uint64)


def _nulls(values: pa.Array) -> NDArray[np.bool_]:
    return np.from_dlpack(values.is_null().cast(pa.uint8())).astype(np.bool_)
