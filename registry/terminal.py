"""The terminal that commands print on."""

import os
import sys

from rich.console import Console

_COLUMNS = 100


def console(*, markup: bool = True, stderr: bool = False) -> Console:
    """A console as wide as the terminal; into a file or a pipe, wide enough for every table."""
    stream = sys.stderr if stderr else sys.stdout
    known = stream.isatty() or "COLUMNS" in os.environ
    width = None if known else _COLUMNS
    return Console(highlight=False, markup=markup, stderr=stderr, width=width)
