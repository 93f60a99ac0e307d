"""How a benchmark runs as a command: in a folder of its own, which goes with it however it ends."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from benchmarks.drift_measure import CommandError
from benchmarks.errors import BenchmarkError
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
