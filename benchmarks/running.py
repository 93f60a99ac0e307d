"""How a benchmark runs as a command: in a folder of its own, which goes with it however it ends."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Protocol

from benchmarks.drift_measure import CommandError
from benchmarks.errors import BenchmarkError
from benchmarks.load import Load
from benchmarks.results import Case
from registry.errors import RegistryError
from training.errors import TrainingError


def positive(text: str) -> int:
    """The type of a flag that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def add_flags(parser: argparse.ArgumentParser, *, quick: str) -> None:
    """The flags of every benchmark of the service; `quick` says what is left of it then."""
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--home", type=Path, help="measure the champion of this BENTOML_HOME")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")


class Measured(Protocol):
    """One run of wrk, with what it was of."""

    @property
    def case(self) -> Case: ...

    @property
    def load(self) -> Load: ...


def keep(path: Path, measured: Sequence[Measured]) -> None:
    """Write every measurement, without what each answer took."""
    facts = [
        {**vars(one), "case": asdict(one.case), "load": one.load.to_dict()} for one in measured
    ]
    path.write_text(json.dumps(facts, indent=1) + "\n")


def run(bench: Callable[[Path], int]) -> int:
    """Call `bench` with an empty folder: its exit code, 1 with one line where something failed,
    130 where it was stopped."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with TemporaryDirectory(prefix="datathon-bench-") as folder:
            return bench(Path(folder))
    except (BenchmarkError, CommandError, RegistryError, TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing was kept", file=sys.stderr)
        return 130


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
