"""What the commands refuse, as a person types them: damaged bytes, part of a version's number, and
files that would run code."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from registry import manifest, moves
from registry.errors import IntegrityError
from registry.loaded import load
from registry.state import State
from registry.worker import Worker
from tests import artefacts as tiny
from tests.registry.following import following
from tests.registry.handmade import MODEL, flip_byte, make_version, promote, tree_sha256
from tests.server import PROJECT, command, environment

FORCED = ("--force", "--reason", "drill")


def refused(state: State, *arguments: str, code: int, **extra: str) -> str:
    """The one line that says why, where the champion stays."""
    before = tree_sha256(state.models), state.champion.read_bytes()
    done = command(state.home, "registry", *arguments, check=False, **extra)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert (tree_sha256(state.models), state.champion.read_bytes()) == before
    return done.stderr


@pytest.mark.parametrize("name", ["pipeline.skops", "manifest.json"])
def test_one_flipped_byte_exits_6(state: State, name: str) -> None:
    promote(state, "v1.0.0", "v1.1.0")
    for version in ("v1.0.0", "v1.2.0"):
        flip_byte(state.models / MODEL / version / name)
    named = ("rollback", "--version", "v1.0.0", "--reason", "x")
    for arguments in (
        ("promote", "--version", "v1.2.0"),
        ("promote", "--version", "v1.2.0", *FORCED),
        ("rollback", "--reason", "x"),
        named,
        (*named, "--dry-run"),
    ):
        assert MODEL in refused(state, *arguments, code=6)


@pytest.mark.parametrize("wanted", ["v1.1", "v1.10", "v1.1.0", "v1"])
def test_part_of_a_number_exits_3_and_names_the_nearest(tmp_path: Path, wanted: str) -> None:
    state = State(tmp_path / "home")
    make_version(state, "v1.10.0")
    promote(state, "v1.10.0")
    for arguments in (("promote", *FORCED), ("rollback", "--reason", "x")):
        assert "v1.10.0" in refused(state, *arguments, "--version", wanted, code=3)


class Trap:
    """Stands in a crafted file for a class of the module `trap`, which leaves a trace wherever it
    is imported."""

    def __reduce__(self) -> Any:
        return __import__, ("trap",)


def crafted_pickle() -> bytes:
    return pickle.dumps(Trap())


def crafted_skops() -> bytes:
    """A pipeline around an object of `trap.Trap`."""
    Trap.__module__ = "trap"
    try:
        return bytes(skops.io.dumps(make_pipeline(FunctionTransformer(kw_args={"x": Trap()}))))
    finally:
        Trap.__module__ = __name__


_SPRING = """
import pickle, skops.io, sys
from pathlib import Path
content = Path(sys.argv[1]).read_bytes()
if content.startswith(b"PK"):
    skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
else:
    pickle.loads(content)
"""


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the module `trap` writes, which every process of the test would find."""
    path, modules = tmp_path / "trace", tmp_path / "modules"
    modules.mkdir()
    (modules / "trap.py").write_text(f"open({str(path)!r}, 'w').close()\nclass Trap: pass\n")
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.syspath_prepend(modules)
    return path


@pytest.fixture
def state_with_trap(state_of_two: State, request: pytest.FixtureRequest) -> State:
    """v1.1.0 has the crafted file in place of its pipeline, and a manifest that is true to it."""
    folder = state_of_two.models / tiny.MODEL / "v1.1.0"
    craft: Callable[[], bytes] = request.param
    (folder / manifest.PIPELINE).write_bytes(craft())
    manifest.write(folder)
    return state_of_two


@pytest.fixture
def state_of_two(artefacts: Path, tmp_path: Path) -> State:
    """Two really trained versions; v1.0.0 is the champion."""
    state = State(tmp_path / "home")
    for number in ("0", "1"):
        tiny.install(state, artefacts / number, f"v1.{number}.0")
    moves.promote(state, model=None, version="v1.0.0", reason="first")
    return state


@pytest.fixture
def worker(state_with_trap: State) -> Iterator[Worker]:
    with following(state_with_trap) as worker:
        yield worker


@pytest.mark.parametrize("state_with_trap", [crafted_pickle, crafted_skops], indirect=True)
def test_a_crafted_file_is_refused_and_never_executed(
    state_with_trap: State, trace: Path, worker: Worker
) -> None:
    """Its manifest is true, so that integrity alone lets it pass: loading it does not."""
    folder = state_with_trap.models / tiny.MODEL / "v1.1.0"
    with pytest.raises(IntegrityError, match="the pipeline cannot be loaded"):
        load(folder, "v1.1.0", None, max_rows=10)
    told = refused(state_with_trap, "promote", "--version", "v1.1.0", *FORCED, code=6)
    assert "v1.1.0 cannot serve, and nothing was changed" in told
    assert worker.serving is not None
    assert (worker.serving.loaded.version, worker.problem) == ("v1.0.0", None)
    assert json.loads(state_with_trap.champion.read_bytes())["prepare"] is None
    told = refused(
        state_with_trap, "register", "--version", "v2.0.0", "--artifacts", str(folder), code=6
    )
    assert "the pipeline cannot be loaded" in told

    # Promoted while no service ran, it stops nobody who starts on or follows the pointer.
    moves.promote(state_with_trap, model=None, version="v1.1.0", reason="nobody looked")
    worker.refresh()
    assert worker.serving.loaded.version == "v1.0.0"
    assert "the pipeline cannot be loaded" in str(worker.problem)
    assert not trace.exists()

    # The trap works where it is let.
    spring = [sys.executable, "-c", _SPRING, str(folder / manifest.PIPELINE)]
    subprocess.run(spring, cwd=PROJECT, check=True)
    assert trace.exists()


@pytest.mark.parametrize("words", [["champion"], ["list"], ["history", "--json"]])
def test_who_reads_no_further_is_told_nothing(state: State, words: list[str]) -> None:
    promote(state, "v1.0.0")
    nobody_reads, end = os.pipe()
    os.close(nobody_reads)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "registry", *words],
            cwd=PROJECT, env=environment(state.home), stdout=end, stderr=subprocess.PIPE,
        )  # fmt: skip
    finally:
        os.close(end)
    assert done.stderr == b""
    assert done.returncode in (1, 128 + signal.SIGPIPE)  # 1 is how rich ends it
