"""`python -m monitoring.labels`: import labels that became known, and count what there is."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from registry import flags, terminal
from registry.errors import RegistryError
from registry.state import State

if TYPE_CHECKING:
    from monitoring.labels.importing import Imported, Steps


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 2 usage or a file that cannot be taken, 5 another import is running."""
    options = flags.parse(_parser(), arguments)
    try:
        return int(options.run(State.from_environment(), options))
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="labels")
    except KeyboardInterrupt:
        print("stopped; nothing was imported", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m monitoring.labels", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    importing = commands.add_parser("import", help="take the labels of a file")
    importing.add_argument(
        "file",
        type=Path,
        help=".csv, .parquet or .xlsx: prediction_id, or entity_id and period; label; observed_at",
    )
    importing.add_argument("--dry-run", action="store_true", help="say what would change")
    importing.set_defaults(run=_import)
    listing = commands.add_parser("list", help="count the labels that there are")
    listing.set_defaults(run=_list)
    for command in (importing, listing):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _import(state: State, options: argparse.Namespace) -> int:
    from monitoring.labels import importing as label_import  # pandas takes a second

    with _progress() as steps:
        done = label_import.run(state, options.file, dry_run=options.dry_run, steps=steps)
    if options.json:
        print(json.dumps(done.to_dict(), indent=1, ensure_ascii=False))
    else:
        _show(done)
    return 0


def _list(state: State, options: argparse.Namespace) -> int:
    from monitoring.labels import census as label_census

    with _progress() as steps:
        counts = label_census.count(state, steps)
    if options.json:
        print(json.dumps(counts, indent=1, ensure_ascii=False))
        return 0
    console = terminal.console(markup=False)
    if not counts["labels"] and not counts["conflicts"]:
        console.print("no labels yet; `python -m monitoring.labels import FILE`")
        return 0
    console.print(
        f"{counts['labels']} labels ({counts['positives']} positive), {counts['revised']} of them "
        f"revised, {counts['conflicts']} in conflict; {counts['orphans']} match nothing in the "
        f"inference log; last import {counts['last_import']}"
    )
    for month, labels in counts["by_month_observed"].items():
        console.print(f"  {month}  {labels:>9}")
    return 0


def _show(done: "Imported") -> None:
    from monitoring.labels.tables import row_words

    console = terminal.console(markup=False)
    verb = "would import" if done.dry_run else "imported"
    if not done.news:
        verb = "nothing new in"
    counts = done.counts
    console.print(
        f"{verb} {done.file}: {counts['new']} new, {counts['revised']} revised, "
        f"{counts['older']} older than what is known, {counts['known']} already known, "
        f"{counts['duplicate']} duplicate, {counts['unknown']} not known yet",
        soft_wrap=True,
    )
    if done.conflicts:
        console.print(
            f"conflict in {row_words(done.conflicts)}: two labels for one key and time; none of "
            "them counts; import the right one with a later observed_at",
            soft_wrap=True,
        )
    if done.orphans:
        rows = [orphan.row for orphan in done.orphans]
        where = f"; all of them: {done.orphan_report}" if done.orphan_report else ""
        console.print(
            f"{len(rows)} label(s) match nothing in the inference log ({row_words(rows)}); they "
            f"are kept and will count once the log has their rows{where}",
            soft_wrap=True,
        )


@contextmanager
def _progress() -> "Iterator[Steps]":
    """A bar on stderr, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = terminal.console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=1.0)

        def step(words: str, share: float) -> None:
            bar.update(task, description=words, completed=share)

        yield step


if __name__ == "__main__":
    raise SystemExit(main())
