"""The tools that drift monitoring is compared with, each in an environment of its own.

`run.py` reads tasks, has a script `with_NAME.py` compare each, and writes an answer each, both as
one JSON list. A task is
{"reference", "window": Parquet files, "numeric", "categorical": columns, "way": how the tool is
used}, for the way "recall" with a "floor" too; its answer {column: {"value", "alarm", "by"}}, or
{"error": why} where the tool could not compare. The scripts import nothing of ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError

_HERE = Path(__file__).resolve().parent
ENVIRONMENTS = _HERE.parent / ".environments"


@dataclass(frozen=True)
class Tool:
    """One of the tools: its name as people write it, its environment, and its script."""

    name: str
    environment: str
    script: str

    def command(self, tasks: Path, answers: Path) -> list[str | Path]:
        """What reads the tasks and writes the answers."""
        return [_python(self.environment), _HERE / "run.py", self.script, tasks, answers]


EVIDENTLY = Tool("Evidently", "evidently", "with_evidently")
NANNYML = Tool("NannyML", "nannyml", "with_nannyml")
FEATURE_ENGINE = Tool("feature-engine", "feature-engine", "with_feature_engine")
TOOLS = (EVIDENTLY, NANNYML, FEATURE_ENGINE)


def task(
    reference: Path,
    window: Path,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str] = (),
    way: str = "default",
) -> Mapping[str, Any]:
    """One task as the scripts read it."""
    return {
        "reference": str(reference),
        "window": str(window),
        "numeric": list(numeric),
        "categorical": list(categorical),
        "way": way,
    }


def require(tools: Sequence[Tool]) -> None:
    """Raise a BenchmarkError that says how to make the environments, if one is missing."""
    missing = [t.name for t in tools if not (ENVIRONMENTS / t.environment / ".ready").exists()]
    if missing:
        made = " ".join(f"benchmarks/.environments/{t.environment}" for t in tools)
        raise BenchmarkError(f"no environment for {', '.join(missing)}; run `make {made}`")


def _python(environment: str) -> Path:
    return ENVIRONMENTS / environment / "bin" / "python"
