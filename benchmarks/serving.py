"""`make bench`: this service with everything on, side by side with a plain FastAPI service.

Both serve the same champion from one core while wrk loads one of them at a time from another core;
they take turns, and who goes first alternates, so that a busy machine treats both alike.
Exit code: 0 measured, 1 a request failed or nothing could be measured, 2 usage, or wrk is missing.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import home, load, results, running
from benchmarks.bodies import compare
from benchmarks.bodies import make as make_bodies
from benchmarks.load import Generator, Load
from benchmarks.processes import cpu_seconds, settle
from benchmarks.results import Case, Measurement
from benchmarks.servers import OURS, THEIRS, Server, started
from registry import pointer
from registry.state import State

CASES = (Case(1, 1), Case(1, 16), Case(1, 64), Case(1000, 4))
_BODIES = {1: 300, 1000: 4}
_WARM_UP_SECONDS = 1
_LEAST_WIDTH = 112
_CAPTION = (
    "Medians of the rounds; ratio: {ours} / {theirs} in each round, median (lowest–highest). "
    "More rows/s is better, less of the others.\n{ours}: validation, batching, inference log, "
    "metrics. {theirs}: the same validation, an async endpoint, no log, no metrics."
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not load.is_installed():
        return 2
    return running.run(lambda folder: _bench(options, folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=running.positive, default=3)
    parser.add_argument("--seconds", type=running.positive, default=5, help="of one measurement")
    running.add_flags(parser, quick="one round of one second")
    return parser


def _bench(options: argparse.Namespace, folder: Path) -> int:
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    where = folder / "home"
    state = home.borrow(options.home, where) if options.home else home.make(where)
    cores = sorted(os.sched_getaffinity(0))
    server_core, wrk_core = cores[0], cores[min(1, len(cores) - 1)]
    generator = Generator(folder, wrk_core)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(started(name, state, core=server_core)) for name in (OURS, THEIRS)
        ]
        for rows, count in _BODIES.items():
            bodies = make_bodies(rows, count)
            compare(servers, bodies)
            generator.keep(_file(rows), bodies)
        measured = list(_measure(servers, generator, rounds=rounds, seconds=seconds))
    facts = _facts(state, rounds=rounds, seconds=seconds, cores=(server_core, wrk_core))
    console = Console(width=max(Console().width, _LEAST_WIDTH))
    title = f"{rounds} round(s) of {seconds} s, service on core {server_core}, wrk on {wrk_core}"
    caption = _CAPTION.format(ours=OURS, theirs=THEIRS)
    console.print(results.table(measured, title=title, caption=caption))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(measured, facts), indent=1) + "\n")
    failed = sum(m.load.failed for m in measured)
    idle = sum(not m.load.requests for m in measured)
    print(f"{failed} errors" + (f", {idle} measurements without an answer" if idle else ""))
    return 1 if failed or idle else 0


def _measure(
    servers: Sequence[Server], generator: Generator, *, rounds: int, seconds: int
) -> Iterator[Measurement]:
    for number in range(rounds):
        for position, case in enumerate(CASES):
            turn = servers if (number + position) % 2 == 0 else servers[::-1]
            for server in turn:
                print(
                    f"round {number + 1}: {case.name} connections: {server.name}", file=sys.stderr
                )
                warm, _ = _run(generator, server, case, _WARM_UP_SECONDS)
                seen, used = _run(generator, server, case, seconds)
                seen = replace(seen, failed=seen.failed + warm.failed)
                yield Measurement(case, number + 1, server.name, seen, used)


def _run(generator: Generator, server: Server, case: Case, seconds: int) -> tuple[Load, float]:
    """The load and the CPU seconds of its time; returns when the server has come to rest."""
    before = cpu_seconds(server.pid)
    seen = generator.run(
        server.address, _file(case.rows), connections=case.connections, seconds=seconds
    )
    used = cpu_seconds(server.pid) - before
    settle(server.pid)
    return seen, used


def _file(rows: int) -> str:
    return f"rows-{rows}.jsonl"


def _facts(state: State, *, rounds: int, seconds: int, cores: tuple[int, int]) -> dict[str, Any]:
    champion = pointer.required(state)
    libraries = ("bentoml", "fastapi", "uvicorn", "pydantic", "scikit-learn", "pandas")
    return {
        "model": champion.model,
        "model_version": champion.version,
        "digest": champion.digest,
        "rounds": rounds,
        "seconds": seconds,
        "service_core": cores[0],
        "wrk_core": cores[1],
        "libraries": {name: version(name) for name in libraries},
    }


if __name__ == "__main__":
    sys.exit(main())
