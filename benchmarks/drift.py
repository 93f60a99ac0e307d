"""`make bench-drift`: what a drift report over one Parquet file costs, next to merely decoding it.

Ours is the real command over a home whose inference log is that file; Evidently, NannyML and
feature-engine read the same file, in environments of their own. They take turns, one at a time, and
the order changes with the round, so that a busy machine treats all alike.
Exit code: 0 measured, 1 something failed, 2 usage.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from benchmarks import drift_data, drift_results, drift_version, others, running
from benchmarks.drift_measure import Usage, measured
from benchmarks.drift_results import DECODE, OURS, Measurement
from benchmarks.drift_version import Registered
from benchmarks.errors import BenchmarkError
from registry.state import PROJECT

_QUICK_ROWS = 50_000
_REPORTS = (0, 10, 20)  # exit codes of a report that was made
_LEAST_WIDTH = 120
_WAYS = {others.EVIDENTLY: "psi", others.NANNYML: "default", others.FEATURE_ENGINE: "default"}
_CAPTION = (
    "CPU: user and system time of the whole process, imports included; medians of the rounds, "
    "ratios in each round, median (lowest–highest).\n"
    "decode only: pyarrow, the 20 columns, one thread. datathon-api: python -m "
    "monitoring.drift_report, everything in it.\n"
    "Evidently: drift preset with PSI. NannyML: univariate drift, its defaults (Jensen-Shannon, "
    "10 chunks; it has no PSI).\nfeature-engine: DropHighPSIFeatures, its defaults. Each of the "
    "three reads the features of the whole window into pandas, and a reference of 10,000 rows."
)


@dataclass(frozen=True)
class _File:
    """One Parquet file of the log, and the ways to read it, as commands by name."""

    rows: int
    home: Path
    commands: dict[str, list[str | Path]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return running.run(lambda folder: _bench(options, folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--rows", type=_positive, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument(
        "--others-rows", type=_count, default=1_000_000, help="for the other tools; 0: without them"
    )
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument(
        "--quick", action="store_true", help=f"one round of {_QUICK_ROWS:,} rows, the others too"
    )
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    return parser


def _positive(text: str) -> int:
    if _count(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _bench(options: argparse.Namespace, folder: Path) -> int:
    rows, other_rows, rounds = set(options.rows), options.others_rows, options.rounds
    if options.quick:
        rows, other_rows, rounds = {_QUICK_ROWS}, min(other_rows, _QUICK_ROWS), 1
    if other_rows:
        others.require(others.TOOLS)
    _tell("train and register a version with 20 features")
    registered = drift_version.make(folder)
    files = [
        _file(registered, folder, size, with_others=size == other_rows)
        for size in sorted(rows | ({other_rows} if other_rows else set()))
    ]
    done = [one for number in range(rounds) for one in _round(files, number)]
    console = Console(width=max(Console().width, _LEAST_WIDTH))
    console.print(drift_results.table(done, title=f"{rounds} round(s)", caption=_CAPTION))
    for line in drift_results.verdict(done):
        print(line)
    if options.json:
        facts = {"rounds": rounds, "cores": len(os.sched_getaffinity(0))}
        content = json.dumps(drift_results.as_json(done, facts), indent=1)
        options.json.write_text(content + "\n")
    return 0


def _file(registered: Registered, folder: Path, rows: int, *, with_others: bool) -> _File:
    """Write a log of `rows` rows, all of yesterday (UTC), in a home of its own."""
    _tell(f"write {rows:,} rows")
    state = registered.home_with_log(folder / f"home-{rows}")
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    log = drift_data.write_log(state.inference_log, rows=rows, day=day, schema=registered.schema)
    version = ["--model", drift_version.MODEL, "--model-version", drift_data.VERSION]
    python = sys.executable
    commands: dict[str, list[str | Path]] = {
        DECODE: [python, "-m", "benchmarks.drift_decode", log, *drift_data.NAMES],
        OURS: [python, "-m", "monitoring.drift_report", *version, "--last-n-days", "3"],
    }
    for tool, way in _WAYS.items() if with_others else ():
        task = others.task(registered.reference, log, numeric=drift_data.NAMES, way=way)
        tasks = folder / f"{tool.environment}-{rows}.json"
        tasks.write_text(json.dumps([task]))
        commands[tool.name] = tool.command(tasks, tasks.with_suffix(".answers"))
    return _File(rows, state.home, commands)


def _round(files: Sequence[_File], number: int) -> Iterator[Measurement]:
    for file in files:
        ways = list(file.commands)
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            _tell(f"round {number + 1}: {file.rows:,} rows: {way}")
            yield Measurement(file.rows, number + 1, way, _usage(file, way))


def _usage(file: _File, way: str) -> Usage:
    usage, output = measured(
        file.commands[way],
        cwd=PROJECT,
        environment={**os.environ, "BENTOML_HOME": str(file.home)},
        good=_REPORTS if way == OURS else (0,),
    )
    if way not in (DECODE, OURS):
        _refuse_errors(way, file.commands[way])
    if way == DECODE and int(output) != file.rows:
        raise BenchmarkError(f"{int(output)} rows decoded of {file.rows}")
    return usage


def _refuse_errors(way: str, command: Sequence[str | Path]) -> None:
    """A tool that gave up is not fast."""
    (answer,) = json.loads(Path(command[-1]).read_text())
    if "error" in answer:
        raise BenchmarkError(f"{way} could not compare: {answer['error']}")


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
