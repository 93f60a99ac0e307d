"""What happened to the same load in three situations, as facts and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from benchmarks.load import Load

_CAPTION = (
    "Median and, below it, the slowest. command: the whole command; CPU: of the command.\n"
    "switch: the commit, and until all workers serve the version.\n"
    "no answer: from SIGTERM until a row is answered again.\n"
    "failed: answers of 400 and above, and connections that were refused or cut; wrk tries\n"
    "again at once."
)


@dataclass(frozen=True)
class Switch:
    """One command: its wall time and CPU, and the seconds of the commit and until all `workers`
    served the version; `resident` of them had it in memory."""

    action: str
    wall_seconds: float
    cpu_seconds: float
    seconds: float
    workers: int
    resident: int


@dataclass(frozen=True)
class Restart:
    """`covered`: the load went on until the service answered again."""

    down_seconds: float
    load: Load
    covered: bool


@dataclass(frozen=True)
class Measured:
    """The same load while nothing happened, while the champion was switched, and in a restart."""

    quiet: Load
    switching: Load
    switches: tuple[Switch, ...]
    restart: Restart


def table(found: Measured, *, title: str) -> Table:
    """A row for each thing that happened under the load."""
    shown = Table(title=title, caption=_CAPTION, caption_justify="left")
    shown.add_column("", no_wrap=True)
    for column in ("command s", "CPU s", "switch s", "no answer s", "failed", "p99 ms", "rows/s"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_row("nothing happens", "", "", "", "", *_load(found.quiet))
    shown.add_row(f"{len(found.switches)} switches", "", "", "", "", *_load(found.switching))
    for action in ("promote", "rollback"):
        mine = [switch for switch in found.switches if switch.action == action]
        names = ("wall_seconds", "cpu_seconds", "seconds")
        cells = [_spread([getattr(switch, name) for switch in mine]) for name in names]
        shown.add_row(f"  {action} × {len(mine)}", *cells)
    least = "" if found.restart.covered else "at least "
    down, failed = f"{found.restart.down_seconds:.1f}", found.restart.load.failed
    shown.add_row("restart", "", "", "", down, f"{least}{failed:,}", "", "")
    return shown


def _load(seen: Load) -> list[str]:
    rows = seen.requests / seen.seconds
    return [f"{seen.failed:,}", f"{seen.p99_ms:.1f}", f"{rows:,.0f}"]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.3f}\n{max(values):.3f}" if values else "–"
