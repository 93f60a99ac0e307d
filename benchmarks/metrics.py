"""`make bench-metrics`: what the metrics cost, and how long a scrape takes.

Two services on one core, one of which counts nothing, wrk on another core; in each round every kind
of load is run against both, and which comes first alternates. At the end the counting one is
scraped. Exit code: 0 measured and within the limits, 1 the metrics cost more than 5 % of the
requests a second or a scrape more than 50 ms (by the medians; --quick does not judge), a request
failed or nothing could be measured, 2 usage, or wrk is missing.
"""

import argparse
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import home, load, running
from benchmarks.bodies import make as make_bodies
from benchmarks.load import Generator, Load
from benchmarks.processes import cpu_seconds, settle
from benchmarks.ratios import Ratio
from benchmarks.results import Case
from benchmarks.servers import OURS, UNCOUNTED, Server, started

CASES = (Case(1, 1), Case(1, 16), Case(1000, 4))
_BODIES = {1: 300, 1000: 4}
_SCRAPES = 20
MOST_COST, MOST_SCRAPE_MS = 0.05, 50.0
_WARM_UP_SECONDS = 1
_CAPTION = "Medians of the rounds; ratio: with / without metrics in each, median (lowest–highest)."


@dataclass(frozen=True)
class Measurement:
    """One run of wrk against the service with metrics, or the one without."""

    case: Case
    round: int
    counted: bool
    load: Load
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.load.requests / self.load.seconds

    @property
    def cpu_ms(self) -> float:
        """Of the service, a request: what a busy machine changes least."""
        return 1000 * self.cpu_seconds / max(1, self.load.requests)


FIGURES: dict[str, Callable[[Measurement], float]] = {
    "requests/s": lambda measured: measured.rate,
    "CPU ms/request": lambda measured: measured.cpu_ms,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--rounds", type=running.positive, default=30)
    parser.add_argument("--seconds", type=running.positive, default=1, help="of one measurement")
    running.add_flags(parser, quick="one round of one second")
    options = parser.parse_args(arguments)
    if not load.is_installed():
        return 2
    return running.run(lambda folder: _bench(options, folder))


def _bench(options: argparse.Namespace, folder: Path) -> int:
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    where = folder / "home"
    state = home.borrow(options.home, where) if options.home else home.make(where)
    cores = sorted(os.sched_getaffinity(0))
    generator = Generator(folder, cores[min(1, len(cores) - 1)])
    for rows, count in _BODIES.items():
        generator.keep(_file(rows), make_bodies(rows, count))
    with (
        started(OURS, state, core=cores[0]) as counted,
        started(UNCOUNTED, state, core=cores[0]) as uncounted,
    ):
        services = {True: counted, False: uncounted}
        measured = list(_measure(services, generator, rounds=rounds, seconds=seconds))
        scrapes = [_scraped(counted) for _ in range(_SCRAPES)]
    Console(width=max(Console().width, 100)).print(_table(measured, f"{rounds} × {seconds} s"))
    print(f"a scrape: median {median(scrapes):.1f} ms, slowest of {_SCRAPES} {max(scrapes):.1f} ms")
    if options.json:
        running.keep(options.json, measured)
    failed = sum(one.load.failed for one in measured)
    idle = sum(not one.load.requests for one in measured)
    print(f"{failed} errors, {idle} measurements without an answer")
    if failed or idle:
        return 1
    above = [] if options.quick else beyond(measured, scrapes)
    for words in above:
        print(f"ABOVE THE LIMIT: {words}")
    return 1 if above else 0


def beyond(measured: Sequence[Measurement], scrapes: Sequence[float]) -> list[str]:
    """What costs more than it may, in words."""
    found = []
    for case in CASES:
        of_case = [one for one in measured if one.case == case]
        kept = ratio(of_case, FIGURES["requests/s"]).median
        if kept < 1 - MOST_COST:
            found.append(f"{case.name}: metrics cost {1 - kept:.1%} of the requests a second")
    if median(scrapes) > MOST_SCRAPE_MS:
        found.append(f"a scrape takes {median(scrapes):.1f} ms")
    return found


def _measure(
    services: dict[bool, Server], generator: Generator, *, rounds: int, seconds: int
) -> Iterator[Measurement]:
    for number in range(rounds):
        for position, case in enumerate(CASES):
            for counted in (True, False) if (number + position) % 2 else (False, True):
                service = services[counted]
                print(f"round {number + 1}: {case.name} connections, {service.name}",
                      file=sys.stderr)  # fmt: skip
                for length in (_WARM_UP_SECONDS, seconds):
                    before = cpu_seconds(service.pid)
                    seen = generator.run(
                        service.address, _file(case.rows),
                        connections=case.connections, seconds=length,
                    )  # fmt: skip
                used = cpu_seconds(service.pid) - before
                yield Measurement(case, number + 1, counted, seen, used)
                settle(service.pid)


def _scraped(service: Server) -> float:
    """Milliseconds that one scrape takes."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"{service.address}/metrics", timeout=30) as response:
        response.read()
    return (time.perf_counter() - began) * 1000


def _file(rows: int) -> str:
    return f"rows-{rows}.jsonl"


def _table(measured: Sequence[Measurement], title: str) -> Table:
    table = Table(title=title, caption=_CAPTION, caption_justify="left")
    for column in ("rows × conn.", "figure", "with", "without", "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    for case in CASES:
        of_case = [one for one in measured if one.case == case]
        for name, figure in FIGURES.items():
            medians = (
                median(figure(m) for m in of_case if m.counted == kind) for kind in (True, False)
            )
            found = ratio(of_case, figure)
            shown = f"{found.median:.3f} ({found.low:.2f}–{found.high:.2f})"
            table.add_row(case.name, name, *(f"{one:,.2f}" for one in medians), shown)
    return table


def ratio(measured: Sequence[Measurement], figure: Callable[[Measurement], float]) -> Ratio:
    """A figure with metrics to the one without, of one case in each round."""
    counted, uncounted = (
        {one.round: figure(one) for one in measured if one.counted == kind}
        for kind in (True, False)
    )
    return Ratio.of([counted[number] / uncounted[number] for number in counted])


if __name__ == "__main__":
    sys.exit(main())
