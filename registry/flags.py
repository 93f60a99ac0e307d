"""Command lines: flags take `_` and `-` alike, and an error is one line and an exit code."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence

from registry.errors import RegistryError

_NOBODY_READS = 128 + signal.SIGPIPE


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse with `--last_n_days` read as `--last-n-days`; exits with 2 on a wrong call."""
    given = sys.argv[1:] if arguments is None else arguments
    return parser.parse_args([_dashed(argument) for argument in given])


def tell(error: RegistryError | OSError, *, about: str) -> int:
    """Print an error in one line and return its exit code; `about` names what an OSError without
    a file name was about. Whoever reads no further, as `head` does, is no error to speak of."""
    if isinstance(error, RegistryError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # What is still to be written has nowhere to go: Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS
    print(f"error: {error.filename or about}: {_reason(error)}", file=sys.stderr)
    return 1


def _reason(error: OSError) -> str:
    """In words, and what helps where that is known."""
    words = error.strerror
    if words is None and error.args and isinstance(error.args[0], list):  # of shutil.copytree
        words = str(error.args[0][0][-1]).partition("] ")[2].partition(": '")[0]
    if words in (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)):
        return f"{words}; free some: `python -m monitoring.compact`, or see docs/runbook.md"
    return words or str(error)


def _dashed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
