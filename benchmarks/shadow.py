"""`make bench-shadow`: what a challenger in the shadow costs the champion's callers.

One service on one core, wrk on another; in each round every kind of load is run with the shadow on
and off, and which comes first alternates. A version of another kind is the challenger. Percentiles
are of the answers of all rounds together, as a run's own 99th is that of a few answers.
Exit code: 0 measured, 1 the champion's p99 is more than 5 % higher with the shadow on and chance
does not explain it (the interval is above 1; --quick does not judge), a request failed or nothing
could be measured, 2 usage, or wrk is missing.
"""

import argparse
import os
import re
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks import home, load, running
from benchmarks.bodies import make as make_bodies
from benchmarks.errors import BenchmarkError
from benchmarks.load import Generator, Load, answers, percentile_ms
from benchmarks.processes import settle
from benchmarks.results import Case
from benchmarks.servers import OURS, Server, started
from registry import shadowing
from registry.configuration import file_in_force
from registry.state import State

if TYPE_CHECKING:
    from numpy.typing import NDArray

CASES = (Case(1, 1), Case(1, 16), Case(100, 4), Case(1000, 4))
PERCENTILES = (50, 95, 99)
MOST_COST = 0.05
_BODIES = {1: 300, 100: 20, 1000: 4}
_CHALLENGER = "v1.1.0"
_KIND = {"candidates": ["hist_gradient_boosting"], "repeats": 1, "seed": 7}
# The queue is full soon, and not over many seconds of requests of one row that are kept for it. And
# the requests of a while without a shadow make up for many chunks: the first comes at once.
_FILL, _FILL_SECONDS = Case(100, 4), 1
_WARM_UP_SECONDS = 3
_RESAMPLES, _SEED = 400, 7
_SCORED = re.compile(r'^datathon_shadow_rows_total\{result="scored"\} (\S+)$', re.MULTILINE)
_CAPTION = (
    "ms, of the answers of all rounds; on / off: their ratio and its 95 % interval, by resampling\n"
    "whole rounds.\n"
    "scored: rows a second that the challenger scored, mean of the rounds; it stands back from a\n"
    "worker that is always busy, so that short runs may meet none."
)


@dataclass(frozen=True)
class Measurement:
    """One run of wrk; `scored` rows were scored in the shadow in its time."""

    case: Case
    round: int
    shadow: bool
    load: Load
    scored: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if (options.home is None) != (options.challenger is None):
        print("error: give --home and --challenger, or neither", file=sys.stderr)
        return 2
    if not load.is_installed():
        return 2
    return running.run(lambda folder: _bench(options, folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow", description=__doc__)
    parser.add_argument("--rounds", type=running.positive, default=8)
    parser.add_argument("--seconds", type=running.positive, default=10, help="of one measurement")
    running.add_flags(parser, quick="one round of one second")
    parser.add_argument("--challenger", help="a version of --home; default: one that is trained")
    return parser


def _bench(options: argparse.Namespace, folder: Path) -> int:
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    where = folder / "home"
    state = home.borrow(options.home, where) if options.home else _make(folder, where)
    cores = sorted(os.sched_getaffinity(0))
    generator = Generator(folder, cores[min(1, len(cores) - 1)])
    for rows, count in _BODIES.items():
        generator.keep(_file(rows), make_bodies(rows, count))
    with started(OURS, state, core=cores[0]) as server:
        bench = _Bench(state, server, generator, options.challenger or _CHALLENGER)
        measured = list(bench.measure(rounds=rounds, seconds=seconds))
    Console(width=max(Console().width, 100)).print(_table(measured, f"{rounds} × {seconds} s"))
    if options.json:
        running.keep(options.json, measured)
    failed = sum(one.load.failed for one in measured)
    idle = sum(not one.load.requests for one in measured)
    on, off = (sum(m.scored for m in measured if m.shadow == shadow) for shadow in (True, False))
    print(f"{failed} errors, {idle} measurements without an answer, {on:.0f} rows scored while on")
    if off or not (on or options.quick):  # a short run may meet none
        raise BenchmarkError(f"{on:.0f} rows were scored while on and {off:.0f} while off")
    if failed or idle:
        return 1
    above = [] if options.quick else beyond(measured)
    for words in above:
        print(f"ABOVE THE LIMIT: {words}")
    return 1 if above else 0


def beyond(measured: Sequence[Measurement]) -> list[str]:
    """What costs more than it may, in words."""
    found = []
    for case in CASES:
        cost = ratio([one for one in measured if one.case == case], 99)
        if cost.value > 1 + MOST_COST and cost.low > 1:
            higher = f"{cost.value - 1:.1%} higher (from {cost.low - 1:.1%} on)"
            found.append(f"{case.name}: the champion's p99 is {higher} with the shadow on")
    return found


def _make(folder: Path, where: Path) -> State:
    """A home with a champion, and another version for the shadow."""
    state = home.make(where)
    content = yaml.safe_load(file_in_force().read_text(encoding="utf-8"))
    content["training"] |= _KIND
    path, artifacts = folder / "challenger.yaml", str(folder / "challenger")
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    home.command(state, "training.train", "--output", artifacts, "--configuration", str(path))
    home.command(state, "registry", "register", "--version", _CHALLENGER, "--artifacts", artifacts)
    return state


@dataclass(frozen=True)
class _Bench:
    state: State
    server: Server
    generator: Generator
    challenger: str

    def measure(self, *, rounds: int, seconds: int) -> Iterator[Measurement]:
        for number in range(rounds):
            for position, case in enumerate(CASES):
                for shadow in (True, False) if (number + position) % 2 else (False, True):
                    words = f"round {number + 1}: {case.name} connections"
                    print(f"{words}: shadow {'on' if shadow else 'off'}", file=sys.stderr)
                    self._turn(on=shadow)
                    self._run(_FILL, _FILL_SECONDS)
                    self._run(case, _WARM_UP_SECONDS)
                    before = self._scored()
                    seen = self._run(case, seconds)
                    yield Measurement(case, number + 1, shadow, seen, self._scored() - before)
                    settle(self.server.pid)

    def _turn(self, *, on: bool) -> None:
        """Returns when the worker has followed."""
        if on:
            shadowing.begin(self.state, model=None, version=self.challenger, dry_run=False)
        else:
            shadowing.end(self.state, dry_run=False)
        settle(self.server.pid)

    def _run(self, case: Case, seconds: int) -> Load:
        return self.generator.run(
            self.server.address, _file(case.rows), connections=case.connections, seconds=seconds
        )

    def _scored(self) -> float:
        """Rows that the challenger has scored so far."""
        with urllib.request.urlopen(f"{self.server.address}/metrics", timeout=30) as response:
            found = _SCORED.search(response.read().decode())
        return float(found[1]) if found else 0.0


def _file(rows: int) -> str:
    return f"rows-{rows}.jsonl"


def _table(measured: Sequence[Measurement], title: str) -> Table:
    table = Table(title=title, caption=_CAPTION, caption_justify="left")
    for column in ("rows × conn.", "shadow"):
        table.add_column(column, no_wrap=True)
    for column in (*(f"p{percent}" for percent in PERCENTILES), "rows/s", "scored"):
        table.add_column(column, justify="right", no_wrap=True)
    for case in CASES:
        of_case = [one for one in measured if one.case == case]
        for shadow in (True, False):
            mine = [one for one in of_case if one.shadow == shadow]
            runs = [answers(one.load.counts) for one in mine]
            cells = [f"{pooled(runs, percent):.2f}" for percent in PERCENTILES]
            answered = median(case.rows * m.load.requests / m.load.seconds for m in mine)
            scored = mean(m.scored / m.load.seconds for m in mine)
            first = case.name if shadow else ""
            table.add_row(
                first, "on" if shadow else "off", *cells, f"{answered:,.0f}", f"{scored:,.0f}"
            )
        found = [ratio(of_case, percent) for percent in PERCENTILES]
        shown = [f"{one.value:.3f}\n{one.low:.2f}–{one.high:.2f}" for one in found]
        table.add_row("", "on / off", *shown, "", "", style="bold", end_section=True)
    return table


@dataclass(frozen=True)
class Interval:
    """A ratio, and where 95 % of its resamples lie."""

    value: float
    low: float
    high: float


def pooled(runs: "Sequence[NDArray[np.int64]]", percent: float) -> float:
    """A percentile, in ms, of the answers of several runs together; not a number of none."""
    together = np.concatenate(runs)
    return percentile_ms(together, percent) if together.size else float("nan")


def ratio(measured: Sequence[Measurement], percent: float) -> Interval:
    """On / off of one case; a round is drawn with both of its runs, as they saw one machine."""
    on, off = (
        {one.round: answers(one.load.counts) for one in measured if one.shadow == shadow}
        for shadow in (True, False)
    )

    def of(rounds: Sequence[int]) -> float:
        above, below = ([runs[number] for number in rounds] for runs in (on, off))
        return pooled(above, percent) / pooled(below, percent)

    draw, rounds = Random(_SEED).choices, sorted(on)
    drawn = sorted(of(draw(rounds, k=len(rounds))) for _ in range(_RESAMPLES))
    low, high = (drawn[round(share * (_RESAMPLES - 1))] for share in (0.025, 0.975))
    return Interval(of(rounds), low, high)


if __name__ == "__main__":
    sys.exit(main())
