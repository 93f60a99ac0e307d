"""`make bench-swap`: promote and rollback of the running service, next to a restart of it.

Two workers answer wrk all the time: for a while nothing happens, then the champion is switched to
and fro by the commands that a person types, then the same service is stopped by SIGTERM and started
again. The two versions hold the same model, and both are in memory.
Exit code: 0 measured, 1 a request failed while the champion was switched, or nothing could be
measured, 2 usage, or wrk is missing.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import home, load, running
from benchmarks.bodies import make as make_bodies
from benchmarks.drift_measure import measured
from benchmarks.load import Generator, Load
from benchmarks.processes import settle
from benchmarks.swap_results import Measured, Restart, Switch, table
from benchmarks.swap_service import WORKERS, Service, served
from monitoring.watching.ports import free_port
from registry import pointer
from registry.state import PROJECT, State
from registry.versions import Version

_CONNECTIONS = 4
_BODIES = 300
_FILE = "rows.jsonl"
_LEAD_SECONDS = 1.0
_PACE_SECONDS = 1.0
_SPARE_SECONDS = 4
_LEAST_WIDTH = 96
_TITLE = f"{WORKERS} workers, {_CONNECTIONS} connections, one row a request"
_FORCED = ("--force", "--reason", "benchmark")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not load.is_installed():
        return 2
    return running.run(lambda folder: _bench(options, folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swap", description=__doc__)
    parser.add_argument("--switches", type=running.positive, default=20)
    parser.add_argument(
        "--restart-seconds", type=running.positive, default=30, help="of load around the restart"
    )
    running.add_flags(parser, quick="4 switches, 10 s around the restart")
    return parser


def _bench(options: argparse.Namespace, folder: Path) -> int:
    count, restart = (4, 10) if options.quick else (options.switches, options.restart_seconds)
    lender = State(options.home.absolute()) if options.home else home.make(folder / "made")
    state = State(folder / "home")
    other = _two_versions(lender, state)
    generator = Generator(folder, max(os.sched_getaffinity(0)))
    bodies = make_bodies(1, _BODIES)
    generator.keep(_FILE, bodies)
    with served(state, bodies[0], port=free_port()) as service:
        bench = _Bench(state, service, generator, other)
        found = bench.measure(bodies[0], switches=count, restart_seconds=restart)
    Console(width=max(Console().width, _LEAST_WIDTH)).print(table(found, title=_TITLE))
    if options.json:
        facts = {"workers": WORKERS, "connections": _CONNECTIONS, **asdict(found)}
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    failed = found.quiet.failed + found.switching.failed
    print(f"{failed} errors without a restart, {found.restart.load.failed} with it")
    return 1 if failed or not (found.quiet.requests and found.switching.requests) else 0


def _two_versions(lender: State, state: State) -> str:
    """Give `state` the champion of `lender` twice, the first as its champion; the other's number.

    Raises:
        RegistryError, BenchmarkError: there is no champion, or it is damaged.
    """
    champion = pointer.required(lender)
    version = Version.parse(champion.version)
    other = str(replace(version, patch=version.patch + 1))
    for name in (champion.version, other):
        source = lender.models / champion.model / champion.version
        shutil.copytree(source, state.models / champion.model / name)
    home.command(state, "registry", "promote", "--version", champion.version, *_FORCED)
    return other


@dataclass(frozen=True)
class _Bench:
    state: State
    service: Service
    generator: Generator
    other: str

    def measure(self, body: bytes, *, switches: int, restart_seconds: int) -> Measured:
        for number in range(2):  # both versions are in memory from here on
            self._switch(number)
        settle(self.service.server.pid)
        seconds = round(switches * _PACE_SECONDS) + _SPARE_SECONDS
        with self._loaded(seconds, "nothing happens") as quiet:
            pass
        with self._loaded(seconds, f"{switches} switches") as switching:
            done = tuple(self._paced(switches))
        with self._loaded(restart_seconds, "restart") as restarting:
            began = time.monotonic()
            self.service.stop()
            self.service.start(body)
            down = time.monotonic() - began
            covered = not restarting.done()
        restart = Restart(down, restarting.result(), covered)
        return Measured(quiet.result(), switching.result(), done, restart)

    @contextmanager
    def _loaded(self, seconds: int, what: str) -> "Iterator[Future[Load]]":
        """Load for `seconds` and for the block, whichever is longer; the block starts when the load
        is on its way."""
        print(f"{seconds} s of load: {what}", file=sys.stderr, flush=True)
        with ThreadPoolExecutor(1) as pool:
            running_load = pool.submit(
                self.generator.run,
                self.service.server.address,
                _FILE,
                connections=_CONNECTIONS,
                seconds=seconds,
            )
            time.sleep(_LEAD_SECONDS)
            yield running_load
        settle(self.service.server.pid)

    def _paced(self, count: int) -> Iterator[Switch]:
        for number in range(count):
            began = time.monotonic()
            yield self._switch(number)
            time.sleep(max(0.0, _PACE_SECONDS - (time.monotonic() - began)))

    def _switch(self, number: int) -> Switch:
        """To the other version, and back: what a person types."""
        promote = ["promote", "--version", self.other, *_FORCED]
        words = promote if number % 2 == 0 else ["rollback", "--reason", "benchmark"]
        usage, output = measured(
            [sys.executable, "-m", "registry", *words, "--json"],
            cwd=PROJECT,
            environment={**os.environ, "BENTOML_HOME": str(self.state.home)},
        )
        told: dict[str, Any] = json.loads(output)
        return Switch(
            action=told["action"],
            wall_seconds=usage.seconds,
            cpu_seconds=usage.cpu_seconds,
            seconds=told["seconds"],
            workers=told["workers"],
            resident=told["resident"],
        )


if __name__ == "__main__":
    sys.exit(main())
