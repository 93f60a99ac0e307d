"""What a person sees of a file that breaks the contract."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from training.errors import Violation

_SHOWN = 40


def report(violations: Sequence[Violation], outcome: str, listing: Path) -> None:
    """The first violations on stderr and, where that is not all of them, every one in `listing`, a
    CSV. `outcome` says what was not done."""
    for violation in violations[:_SHOWN]:
        print(f"error: {violation}", file=sys.stderr)
    print(f"error: {len(violations)} violation(s), {outcome}", file=sys.stderr)
    if len(violations) <= _SHOWN:
        return
    try:
        listing.parent.mkdir(parents=True, exist_ok=True)
        with listing.open("w", newline="", encoding="utf-8") as stream:
            rows = [(found.line, *found[1:]) for found in violations]
            csv.writer(stream).writerows([("line", *Violation._fields[1:]), *rows])
    except OSError as error:
        print(f"error: {listing}: {error.strerror}", file=sys.stderr)
    else:
        print(f"error: all of them are in {listing}", file=sys.stderr)
