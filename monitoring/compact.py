"""`python -m monitoring.compact`: the log's finished days into Parquet, the oldest ones away."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from monitoring.log import compaction
from monitoring.log import files as log_files
from monitoring.log.compaction import Compacted
from registry import configuration, flags, terminal
from registry.errors import RegistryError
from registry.state import State

_QUIET_SECONDS = 1.0


@dataclass(frozen=True)
class Done:
    """One run; with `dry_run` nothing was changed, and `days` say what is waiting."""

    dry_run: bool
    days: tuple[Compacted, ...]
    removed: tuple[date, ...]
    retention_days: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "days": [{**asdict(one), "day": str(one.day), "rows": one.rows} for one in self.days],
            "removed_days": [str(day) for day in self.removed],
            "retention_days": self.retention_days,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done or nothing to do, 5 another compaction or forget is at work, 2 usage, 1 the disk."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.compact", description=__doc__)
    parser.add_argument("--include-today", action="store_true", help="today's lines too (UTC)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = flags.parse(parser, arguments)
    try:
        done = run(
            State.from_environment(),
            today=datetime.now(UTC).date(),
            include_today=options.include_today,
            dry_run=options.dry_run,
        )
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="inference log")
    except KeyboardInterrupt:
        print("stopped; the days that were not done yet stay as they are", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(done.to_dict(), indent=1))
    else:
        show(done)
    return 0


def run(state: State, *, today: date, include_today: bool, dry_run: bool) -> Done:
    """Compact every day that is over, oldest first, then remove the days past retention.

    Raises:
        LogBusyError: another compaction or forget is at work.
        ConfigurationError: the configuration does not say for how long rows are kept.
    """
    root, retention_days = state.inference_log, configuration.load().log.retention_days
    if not root.is_dir():
        return Done(dry_run, (), (), retention_days)
    with log_files.maintenance(root):
        old = tuple(compaction.expired(root, today, retention_days))
        end = date.max if include_today else today
        days = tuple(one for one in compaction.pending(root, end) if one.day not in old)
        if not dry_run:
            for day in old:
                log_files.remove_day(root / f"dt={day}")
            with _progress(sum(one.source_bytes for one in days)) as progress:
                done = [compaction.compact_day(state, one.day, progress) for one in days]
            days = tuple(one for one in done if one is not None)
    return Done(dry_run, days, old, retention_days)


def show(done: Done) -> None:
    """A line a day."""
    console = terminal.console()
    would = "would be " if done.dry_run else ""
    for one in done.days:
        if done.dry_run:
            size = decimal(one.source_bytes)
            console.print(f"{one.day}: {one.sources} file(s), {size}, would be compacted")
            continue
        versions = ", ".join(f"{version} {rows}" for version, rows in sorted(one.versions.items()))
        console.print(
            f"{one.day}: {one.rows} row(s) ({versions or 'none'}) from {one.sources} file(s), "
            f"{decimal(one.source_bytes)} to {decimal(one.part_bytes)}; {one.duplicates} "
            f"duplicate(s) left out, {one.torn} torn and {one.invalid} invalid line(s) kept aside",
            soft_wrap=True,
        )
    for day in done.removed:
        console.print(f"{day}: {would}removed, older than {done.retention_days} days")
    if not done.days and not done.removed:
        console.print("nothing to compact")


@contextmanager
def _progress(total: int) -> Iterator[compaction.Progress]:
    """A bar over the bytes of JSON lines, once it has taken a second and where somebody looks."""
    console = terminal.console(stderr=True)
    columns = (TextColumn("compacting"), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=total)
    begin = time.monotonic() + _QUIET_SECONDS

    def advance(size: int) -> None:
        bar.advance(task, size)
        if time.monotonic() > begin:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


if __name__ == "__main__":
    sys.exit(main())
