"""What was measured, as a table and as JSON: both services, and their ratio in each round."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.load import Load
from benchmarks.ratios import Ratio
from benchmarks.servers import OURS, THEIRS


@dataclass(frozen=True)
class Case:
    """One kind of load: rows in a request × requests under way at once (connections)."""

    rows: int
    connections: int

    @property
    def name(self) -> str:
        return f"{self.rows} × {self.connections}"


@dataclass(frozen=True)
class Measurement:
    """One run of wrk against one service; CPU of all its processes in the time of the run."""

    case: Case
    round: int
    service: str
    load: Load
    cpu_seconds: float

    @property
    def rows_per_second(self) -> float:
        """Scored rows; with one row a request, requests."""
        return self.case.rows * self.load.requests / self.load.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a request; not a number where none was answered."""
        answered = self.load.requests
        return 1000 * self.cpu_seconds / answered if answered else float("nan")


METRICS: dict[str, Callable[[Measurement], float]] = {
    "rows/s": lambda measured: measured.rows_per_second,
    "p50 ms": lambda measured: measured.load.p50_ms,
    "p95 ms": lambda measured: measured.load.p95_ms,
    "p99 ms": lambda measured: measured.load.p99_ms,
    "CPU ms/req": lambda measured: measured.cpu_ms,
}


def ratio(measured: Sequence[Measurement], metric: str) -> Ratio | None:
    """Ours / theirs of one case in each round; None where a service answered nothing."""
    value = METRICS[metric]
    both = {
        service: {m.round: value(m) for m in measured if m.service == service and m.load.requests}
        for service in (OURS, THEIRS)
    }
    rounds = both[OURS].keys() & both[THEIRS].keys()
    ratios = [both[OURS][number] / both[THEIRS][number] for number in rounds]
    return Ratio.of(ratios) if ratios else None


def _stacked(found: Ratio | None) -> str:
    return f"{found.median:.2f}\n{found.low:.2f}–{found.high:.2f}" if found else "–"


def table(measured: Sequence[Measurement], *, title: str, caption: str) -> Table:
    """Medians over the rounds for each case and service, and the ratios below them."""
    shown = Table(title=title, caption=caption, caption_justify="left")
    for column in ("rows × conn.", "service"):
        shown.add_column(column, no_wrap=True)
    for column in (*METRICS, "errors"):
        shown.add_column(column, justify="right", no_wrap=True)
    for case in dict.fromkeys(m.case for m in measured):
        of_case = [m for m in measured if m.case == case]
        for service in (OURS, THEIRS):
            mine = [m for m in of_case if m.service == service]
            medians = [f"{median(map(value, mine)):,.2f}" for value in METRICS.values()]
            failed = sum(m.load.failed for m in mine)
            first = case.name if service == OURS else ""
            shown.add_row(first, service, *medians, f"[red]{failed}[/]" if failed else "0")
        ratios = [_stacked(ratio(of_case, metric)) for metric in METRICS]
        shown.add_row("", "ratio", *ratios, style="bold", end_section=True)
    return shown


def as_json(measured: Sequence[Measurement], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything: `facts` about the run, each measurement, the ratios of each case."""
    cases = []
    for case in dict.fromkeys(m.case for m in measured):
        of_case = [m for m in measured if m.case == case]
        ratios = {metric: ratio(of_case, metric) for metric in METRICS}
        cases.append(
            {
                **asdict(case),
                "ratios": {
                    name: asdict(found) if found else None for name, found in ratios.items()
                },
                "measurements": [
                    {
                        "service": m.service,
                        "round": m.round,
                        **m.load.to_dict(),
                        "rows_per_second": m.rows_per_second,
                        "cpu_seconds": m.cpu_seconds,
                    }
                    for m in of_case
                ],
            }
        )
    return {**facts, "cases": cases}
