"""The streams through the other tools: written as files, answered in their own environments."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import others
from benchmarks.alarms_streams import Columns
from benchmarks.drift_measure import measured
from benchmarks.others import EVIDENTLY, FEATURE_ENGINE, NANNYML, Tool
from registry.state import PROJECT

SCORE = "score"


@dataclass(frozen=True)
class Way:
    """One tool, used in one way."""

    name: str
    tool: Tool
    way: str


WAYS = (
    Way("Evidently", EVIDENTLY, "default"),
    Way("Evidently PSI", EVIDENTLY, "psi"),
    Way("NannyML", NANNYML, "default"),
    Way("NannyML, 1 chunk", NANNYML, "window"),
    Way("feature-engine", FEATURE_ENGINE, "default"),
)


@dataclass(frozen=True)
class Pair:
    """A reference and a window on disk, and which of the columns are numbers."""

    reference: Path
    window: Path
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]


def write(folder: Path, name: str, *, reference: Columns, window: Columns) -> Pair:
    """Both sides as Parquet files; a column of texts is a category."""
    for side, columns in (("reference", reference), ("window", window)):
        pd.DataFrame(columns).to_parquet(folder / f"{name}-{side}.parquet")
    categorical = tuple(key for key, values in reference.items() if values.dtype == object)
    return Pair(
        folder / f"{name}-reference.parquet",
        folder / f"{name}-window.parquet",
        numeric=tuple(key for key in reference if key not in categorical),
        categorical=categorical,
    )


def answers(folder: Path, way: Way, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """What one way says of each pair: of each column {"value", "alarm", "by"}; or {"error": why}.

    Raises:
        CommandError: the tool's script failed as a whole.
    """
    tasks = [
        others.task(
            pair.reference,
            pair.window,
            numeric=pair.numeric,
            categorical=pair.categorical,
            way=way.way,
        )
        for pair in pairs
    ]
    return run(folder, way, tasks)


def run(folder: Path, way: Way, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tool's answers to tasks as its script reads them.

    Raises:
        CommandError: the script failed as a whole.
    """
    path = folder / f"{way.tool.environment}-{way.way}.json"
    path.write_text(json.dumps(tasks))
    output = path.with_suffix(".answers")
    measured(way.tool.command(path, output), cwd=PROJECT, environment=os.environ)
    found: list[dict[str, Any]] = json.loads(output.read_text())
    return found
