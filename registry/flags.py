"""Command lines: flags take `_` and `-` alike."""

import argparse
import sys
from collections.abc import Sequence


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse with `--last_n_days` read as `--last-n-days`; exits with 2 on a wrong call."""
    given = sys.argv[1:] if arguments is None else arguments
    return parser.parse_args([_dashed(argument) for argument in given])


def _dashed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
