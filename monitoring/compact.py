"""`python -m monitoring.compact`: finished days of the inference log and of the shadow log into
Parquet, the oldest ones away."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from monitoring.log import compaction
from monitoring.log import files as log_files
from monitoring.log.compaction import Compacted
from registry import configuration, flags, terminal
from registry.errors import RegistryError
from registry.state import State

_QUIET_SECONDS = 1.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Failed:
    """A day that could not be done, and why."""

    day: date
    reason: str
    exit_code: int


@dataclass(frozen=True)
class OfLog:
    """One log in one run; where nothing was changed, `days` say what is waiting."""

    name: str
    days: tuple[Compacted, ...] = ()
    removed: tuple[date, ...] = ()
    failed: tuple[Failed, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "days": [{**asdict(one), "day": str(one.day), "rows": one.rows} for one in self.days],
            "removed_days": [str(day) for day in self.removed],
            "failed_days": [{"day": str(one.day), "reason": one.reason} for one in self.failed],
        }


@dataclass(frozen=True)
class Done:
    """One run; with `dry_run` nothing was changed."""

    dry_run: bool
    retention_days: int
    logs: tuple[OfLog, ...]

    @property
    def failed(self) -> Iterator[tuple[OfLog, Failed]]:
        return ((log, one) for log in self.logs for one in log.failed)

    def to_dict(self) -> dict[str, Any]:
        """The inference log's days, and in `shadow_log` the other's."""
        answered, shadowed = (log.to_dict() for log in self.logs)
        facts = {"dry_run": self.dry_run, "retention_days": self.retention_days}
        return {**facts, **answered, "shadow_log": shadowed}


@dataclass(frozen=True)
class _Terms:
    """What is to be done to each log: the days before `end` are over."""

    today: date
    end: date
    retention_days: int
    dry_run: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done or nothing to do, 5 somebody else is at work on the log, 2 usage; of the days that
    failed the highest: 6 damaged, 5 held by a stopped process, 1 anything else."""
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
    for log, one in done.failed:
        print(f"error: {_place(log, one.day)}: {one.reason}", file=sys.stderr)
    return max((one.exit_code for _, one in done.failed), default=0)


def run(state: State, *, today: date, include_today: bool, dry_run: bool) -> Done:
    """In each log, remove the days past retention, then compact every day that is over, oldest
    first; a day that fails does not stop the others.

    Raises:
        LogBusyError: another compaction or forget is at work.
        ConfigurationError: the configuration does not say for how long rows are kept.
    """
    terms = _Terms(
        today=today,
        end=date.max if include_today else today,
        retention_days=configuration.load().log.retention_days,
        dry_run=dry_run,
    )
    logs = [_run(state, name, root, terms) for name, root in log_files.roots(state).items()]
    return Done(dry_run, terms.retention_days, tuple(logs))


def _run(state: State, name: str, root: Path, terms: _Terms) -> OfLog:
    if not root.is_dir():
        return OfLog(name)
    with log_files.maintenance(root):
        failed: list[Failed] = []
        old = compaction.expired(root, terms.today, terms.retention_days)
        over = [day for day in log_files.days(root) if day < terms.end and day not in old]
        days = _each(over, partial(compaction.pending, root), failed)
        if not terms.dry_run:
            old = _each(old, partial(_remove, root), failed)
            with _progress(sum(one.source_bytes for one in days)) as progress:
                compact = partial(compaction.compact_day, root, state=state, progress=progress)
                days = _each([one.day for one in days], compact, failed)
    return OfLog(name, tuple(days), tuple(old), tuple(failed))


def _each(
    days: Iterable[date], work: Callable[[date], _Result | None], failed: list[Failed]
) -> list[_Result]:
    """What came of the days that the work could be done for; the others join `failed`."""
    found = []
    for day in days:
        try:
            if (result := work(day)) is not None:
                found.append(result)
        except Exception as error:  # whatever is in one day must not block the days after it
            code = error.exit_code if isinstance(error, RegistryError) else 1
            failed.append(Failed(day, _reason(error), code))
    return found


def _remove(root: Path, day: date) -> date:
    log_files.remove_day(root / f"dt={day}")
    return day


def _reason(error: Exception) -> str:
    """In one line."""
    if isinstance(error, RegistryError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'inference log'}: {error.strerror}"
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{words}; the lines of the day stay where they are"


def show(done: Done) -> None:
    """A line a day."""
    console = terminal.console()
    for log in done.logs:
        for one in log.days:
            said = _pending(one) if done.dry_run else _compacted(one)
            console.print(f"{_place(log, one.day)}: {said}", soft_wrap=True)
        for day in log.removed:
            would = "would be " if done.dry_run else ""
            age = f"older than {done.retention_days} days"
            console.print(f"{_place(log, day)}: {would}removed, {age}")
    if not any(log.days or log.removed or log.failed for log in done.logs):
        console.print("nothing to compact")


def _place(log: OfLog, day: date) -> str:
    """A day of the inference log goes without saying."""
    return str(day) if log.name == log_files.ANSWERED else f"{log.name} {day}"


def _pending(one: Compacted) -> str:
    return f"{one.sources} file(s), {decimal(one.source_bytes)}, would be compacted"


def _compacted(one: Compacted) -> str:
    versions = ", ".join(f"{version} {rows}" for version, rows in sorted(one.versions.items()))
    return (
        f"{one.rows} row(s) ({versions or 'none'}) from {one.sources} file(s), "
        f"{decimal(one.source_bytes)} to {decimal(one.part_bytes)}; {one.duplicates} "
        f"duplicate(s) left out, {one.torn} torn and {one.invalid} invalid line(s) kept aside"
    )


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
