"""`make bench-alarms`: how often the drift report is right, on streams whose truth is known.

Each stream has a reference and a window of seven days with thirteen features and a score, drawn
from a seed; ours sees it through monitoring.drift.analysis, Evidently, NannyML and feature-engine
as files, in environments of their own.
Exit code: 0 measured, 1 something failed, 2 usage.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import (
    alarms_cases,
    alarms_cells,
    alarms_model,
    alarms_results,
    alarms_streams,
    others,
    running,
)

_QUICK, _QUICK_OTHERS = 4, 2
_LEAST_WIDTH = 130
# What the label leans on, in log odds a standard deviation, so that drift moves the score too.
_LEAN = {"index": -0.8, "learning": -0.6, "engagement": -0.4, "maths": -0.3, "warmth": 0.3}
_CAPTION = (
    "ours: any of 13 features or the score; the joint check stands beside. Evidently: drift "
    "preset, its default tests, and with PSI, an alarm from 0.1. NannyML: univariate drift, its "
    "default ten chunks, and with the window as one chunk. feature-engine: PSI above 0.25. What "
    "they have beside drift (checks of missing or unseen values) is no part of it."
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return running.run(lambda folder: _bench(options, folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarms", description=__doc__)
    parser.add_argument("--trials", type=_count, default=200, help="streams of each kind")
    parser.add_argument(
        "--others-trials",
        type=_count,
        default=20,
        help="of them for the other tools; 0: without them",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{_QUICK} trials, {_QUICK_OTHERS} for the others"
    )
    parser.add_argument("--json", type=Path, help="write every rate to this file")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _bench(options: argparse.Namespace, folder: Path) -> int:
    trials, other_trials = max(options.trials, 1), options.others_trials
    if options.quick:
        trials, other_trials = _QUICK, min(other_trials, _QUICK_OTHERS)
    if other_trials:
        others.require(others.TOOLS)
    _tell("train a version")
    rows = alarms_streams.rows(np.random.default_rng(1), alarms_model.ROWS)
    alarms_model.make(folder / "version", alarms_streams.FEATURES, rows, _LEAN)
    cells = (*alarms_cells.CALM, *alarms_cells.CHANGED)
    results = alarms_cells.run(cells, folder, trials=trials, other_trials=other_trials, tell=_tell)
    calm = [one for one in results if one.cell.kind == "none"]
    changed = [one for one in results if one.cell.kind != "none"]
    cases = alarms_cases.run(
        folder, trials=other_trials or trials, others=bool(other_trials), tell=_tell
    )
    console = Console(width=max(Console().width, _LEAST_WIDTH))
    console.print(alarms_results.calm_table(calm))
    console.print(alarms_results.changed_table(changed))
    console.print(alarms_cases.table(cases))
    console.print(f"{trials} windows a row, {other_trials} of them for the others. {_CAPTION}")
    for line in alarms_results.verdict(calm, changed):
        print(line)
    if options.json:
        content = {
            "trials": trials,
            "cells": alarms_results.as_json(results),
            "cases": alarms_cases.as_json(cases),
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
