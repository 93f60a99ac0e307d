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
    steps = [
        ["training.train", "--output", str(artifacts)],
        ["registry", "register", "--version", FIRST_VERSION, "--artifacts", str(artifacts)],
        ["registry", "promote", "--version", FIRST_VERSION, "--reason", "benchmark"],
    ]
    environment = {**os.environ, "BENTOML_HOME": str(folder)}
    for step in steps:
        print(f"python -m {' '.join(step[:2])}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", *step],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise BenchmarkError(f"python -m {step[0]} ended with exit code {done.returncode}")
    return State(folder)
