"""The rows that evaluated a version, as a file: what is read is what was written, or an error."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from registry import held_out
from registry.errors import IntegrityError
from tests.registry.handmade import flip_byte

NUMBERS = st.floats(allow_infinity=False, width=64)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ROWS = st.lists(
    st.tuples(NUMBERS, TEXTS, st.integers(0, 1), st.integers(-5, 2**60), st.floats(0, 1)),
    min_size=1,
    max_size=30,
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def texts(values: list[str | None]) -> NDArray[Any]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def written(rows: list[tuple[Any, ...]], protocol: str = "temporal") -> bytes:
    numbers, words, target, entities, scores = zip(*rows, strict=True)
    return held_out.to_bytes(
        {"mark": np.array(numbers), "target": texts(list(words))},
        np.array(target, dtype=np.int8),
        np.array(entities, dtype=np.int64),
        np.array(scores),
        protocol=protocol,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("held-out")


@settings(max_examples=60)
@given(ROWS, st.sampled_from(["temporal", "cross-validation"]))
def test_what_is_read_is_what_was_written(
    folder: Path, rows: list[tuple[Any, ...]], protocol: str
) -> None:
    """A feature may be called `target`; entities are numbered from 0 and keep who is who."""
    content = written(rows, protocol)
    assert written(rows, protocol) == content
    path = folder / "rows.parquet"
    path.write_bytes(content)
    held = held_out.read(path, sha256(content))
    numbers, words, target, entities, scores = map(list, zip(*rows, strict=True))
    assert np.array_equal(held.columns["mark"], np.array(numbers), equal_nan=True)
    assert held.columns["mark"].dtype == np.float64
    assert held.columns["target"].tolist() == words
    assert held.columns["target"].dtype == object
    assert held.columns.keys() == {"mark", "target"}
    assert (held.target.tolist(), held.scores.tolist()) == (target, scores)
    assert len(set(zip(entities, held.entities.tolist(), strict=True))) == len(set(entities))
    assert set(held.entities.tolist()) == set(range(len(set(entities))))
    assert (held.protocol, held.sha256) == (protocol, sha256(content))


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    content = written([(1.0, "a", 1, 7, 0.5)])
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    flip_byte(path)
    with pytest.raises(IntegrityError, match="provenance names"):
        held_out.read(path, sha256(content))


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="No such file"):
        held_out.read(tmp_path / "rows.parquet", "0" * 64)


def _parquet(columns: dict[str, list[Any]], metadata: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), out)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1PAR1",
        _parquet({"mark": [1.0]}),
        _parquet({"#target": [1], "#entity": [0], "#score": [0.5]}),
        _parquet({"#target": ["x"], "#entity": [0], "#score": [0.5]}, {"protocol": "temporal"}),
    ],
)
def test_what_holds_no_rows_is_refused_although_its_sha256_is_right(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="holds no held-out rows"):
        held_out.read(path, sha256(content))
