import functools
import hashlib
import io
import json
import operator
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from registry import serialization
from registry.errors import IntegrityError
from registry.pipeline import frame_of
from registry.state import PROJECT
from training.fit import Trained

_DUMP = (
    "import hashlib; from registry.serialization import dump;"
    "from tests.artefacts import tiny_trained;"
    "print(hashlib.sha256(dump(tiny_trained().model)).hexdigest())"
)


class Intruder:
    """A class of the test, which no list trusts; it tells when it comes to life."""

    lives = 0

    def __init__(self) -> None:
        self.mark = 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        Intruder.lives += 1

    def __reduce__(self) -> Any:
        return (Intruder, (), {"mark": 1})


def intrude(*arguments: Any, **named: Any) -> Any:
    Intruder.lives += 1


@pytest.fixture(scope="module")
def content(artefacts: Path) -> bytes:
    return (artefacts / "0" / "pipeline.skops").read_bytes()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every part of a skops schema that names a class."""
    if isinstance(tree, dict):
        if "__module__" in tree:
            yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def test_a_loaded_pipeline_scores_bit_for_bit_the_same(
    trained: tuple[Trained, Trained], content: bytes
) -> None:
    frame = frame_of(trained[0].evaluated.columns)
    expected = trained[0].model.predict_proba(frame)
    found = serialization.load(content).predict_proba(frame)
    assert np.array_equal(found, expected)
    assert serialization.dump(serialization.load(content)) == content


@pytest.mark.slow
def test_the_same_data_give_the_same_bytes_in_another_process(content: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DUMP],
        cwd=PROJECT,
        env=os.environ | {"PYTHONHASHSEED": "1"},  # that of this process is drawn anew each time
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(content).hexdigest()


def test_other_data_give_other_bytes(artefacts: Path, content: bytes) -> None:
    assert (artefacts / "1" / "pipeline.skops").read_bytes() != content


DANGEROUS: dict[str, Callable[[], Any]] = {
    "os.system": lambda: os.system,
    "eval": lambda: eval,
    "__import__": lambda: __import__,
    "getattr": lambda: getattr,
    "subprocess.Popen": lambda: subprocess.Popen,
    "numpy.load": lambda: np.load,
    "operator.methodcaller": lambda: operator.methodcaller("system", "true"),
    "operator.attrgetter": lambda: operator.attrgetter("__class__.__base__"),
    "functools.partial": lambda: functools.partial(os.system, "true"),
    "bound method": lambda: Path("x").write_text,
    "function of the test": lambda: intrude,
    "object of the test": Intruder,
    "class of the test": lambda: Intruder,
}


@pytest.mark.parametrize("make", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_a_type_outside_the_trust_list_is_neither_dumped_nor_loaded(
    make: Callable[[], Any],
) -> None:
    model = make_pipeline(FunctionTransformer(func=make()))
    crafted = skops.io.dumps(model)
    before = Intruder.lives
    with pytest.raises(ValueError, match="outside the trust list"):
        serialization.dump(model)
    with pytest.raises(IntegrityError, match="cannot be loaded") as caught:
        serialization.load(crafted)
    assert "\n" not in str(caught.value)
    assert Intruder.lives == before


def test_no_node_of_a_file_can_be_turned_into_a_foreign_class(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each named class in turn becomes one of a module that leaves a trace when it is imported."""
    trace = tmp_path / "trace"
    (tmp_path / "intruding_module.py").write_text(
        f"open({str(trace)!r}, 'w').close()\nclass Intruder(dict):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    files = members(content)
    identities = {node["__id__"] for node in nodes(json.loads(files["schema.json"]))}
    refused = 0
    for identity in identities:
        schema = json.loads(files["schema.json"])
        for node in nodes(schema):
            if node["__id__"] == identity:
                node |= {"__module__": "intruding_module", "__class__": "Intruder"}
        try:
            loaded = serialization.load(
                packed(files | {"schema.json": json.dumps(schema).encode()})
            )
        except IntegrityError:
            refused += 1
        else:  # plain values and slices take no notice of the class that they name
            assert serialization.dump(loaded) == content
        assert not trace.exists(), identity
    assert refused > 30


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"PK",
        b"\x80\x04\x95",
        packed({}),
        packed({"schema.json": b"{"}),
        packed({"schema.json": b"[]"}),
        packed({"schema.json": b'{"__loader__": "NoSuchNode"}'}),
    ],
)
def test_what_is_no_skops_file_is_an_integrity_error(broken: bytes) -> None:
    with pytest.raises(IntegrityError):
        serialization.load(broken)


def test_a_cut_file_is_an_integrity_error(content: bytes) -> None:
    for length in range(0, len(content), 97):
        with pytest.raises(IntegrityError):
            serialization.load(content[:length])


def test_the_file_holds_no_clock_and_no_addresses(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        schema = json.loads(archive.read("schema.json"))
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    numbers = {node["__id__"] for node in nodes(schema) if "__id__" in node}
    assert numbers == set(range(1, len(numbers) + 1))
