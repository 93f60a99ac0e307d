"""A BENTOML_HOME of the benchmark's own: the rows that it sends never reach anybody's log."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import BenchmarkError
from registry import pointer
from registry.state import PROJECT, State
from start import FIRST_VERSION


def borrow(home: Path, folder: Path) -> State:
    """A home in `folder` with the champion of `home`, which is only read.

    Raises:
        RegistryError: `home` has no champion.
    """
    lender, state = State(home.absolute()), State(folder)
    pointer.required(lender)
    state.registry.mkdir(parents=True)
    shutil.copy(lender.champion, state.champion)
    state.models.symlink_to(lender.models)
    return state


def make(folder: Path) -> State:
    """A home in `folder` with a version trained on the bundled cohort, registered and promoted.

    Raises:
        BenchmarkError: one of the commands failed; its words stand on stderr.
    """
    artifacts = folder / "artifacts"
    state = State(folder)
    command(state, "training.train", "--output", str(artifacts))
    command(
        state, "registry", "register", "--version", FIRST_VERSION, "--artifacts", str(artifacts)
    )
    command(state, "registry", "promote", "--version", FIRST_VERSION, "--reason", "benchmark")
    return state


def command(state: State, *arguments: str) -> None:
    """Run `python -m arguments` on a home.

    Raises:
        BenchmarkError: it failed; its words stand on stderr.
    """
    print(f"python -m {' '.join(arguments[:2])}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=PROJECT,
        env={**os.environ, "BENTOML_HOME": str(state.home)},
        stdout=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"python -m {arguments[0]} ended with exit code {done.returncode}")
