"""Command lines: flags take `_` and `-` alike, and an error is one line and an exit code."""

import argparse
import sys
from collections.abc import Sequence

from registry.errors import RegistryError


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse with `--last_n_days` read as `--last-n-days`; exits with 2 on a wrong call."""
    given = sys.argv[1:] if arguments is None else arguments
    return parser.parse_args([_dashed(argument) for argument in given])


def tell(error: RegistryError | OSError, *, about: str) -> int:
    """Print an error in one line and return its exit code; `about` names what an OSError without
    a file name was about."""
    if isinstance(error, RegistryError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"error: {error.filename or about}: {error.strerror}", file=sys.stderr)
    return 1


def _dashed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
