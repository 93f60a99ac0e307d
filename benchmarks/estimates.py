"""`python -m benchmarks.estimates`: performance estimated without labels, beside NannyML.

The data sets come with NannyML: car loans, where the concept changes halfway, and employment in
the US census, where it moves little. Exit code: 0 compared and in agreement, 1 not, 2 usage, or
NannyML's environment is missing.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from benchmarks.errors import BenchmarkError
from monitoring.performance.calibrator import CalibrationReference
from monitoring.performance.cbpe import ScoreCounts, estimate
from monitoring.performance.evaluation import Estimate
from registry import flags
from registry.state import PROJECT
from registry.terminal import console

_ENVIRONMENT = "benchmarks/.environments/nannyml"
_SETS = ("car-loan", "census")
_METRICS = ("recall", "precision", "f1", "roc_auc")
_RESAMPLES, _SEED = 300, 1
_AGREED = 1e-4


@dataclass(frozen=True)
class Chunk:
    """One metric of one chunk: what it turned out to be, and both estimates of it."""

    data: str
    number: int
    metric: str
    realised: float
    ours: Estimate
    theirs: Estimate

    @property
    def apart(self) -> float:
        assert self.ours.value is not None
        assert self.theirs.value is not None
        return abs(self.ours.value - self.theirs.value)


def main(arguments: Sequence[str] | None = None) -> int:
    options = flags.parse(_parser(), arguments)
    if not options.python.exists():
        print(f"error: no NannyML at {options.python}: make {_ENVIRONMENT}", file=sys.stderr)
        return 2
    try:
        with TemporaryDirectory(prefix="datathon-estimates-") as folder:
            _run_nannyml(options.python, Path(folder))
            chunks = [chunk for name in _SETS for chunk in compare(Path(folder), name)]
    except (BenchmarkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    screen = console()
    for name in _SETS:
        screen.print(_table(name, [chunk for chunk in chunks if chunk.data == name]))
    apart = max(chunk.apart for chunk in chunks)
    print(f"largest difference between both estimates: {apart:.1e} (agreed: {_AGREED:g})")
    return 0 if apart <= _AGREED else 1


def compare(folder: Path, name: str) -> list[Chunk]:
    """Every metric of every chunk, from what `estimates_nannyml.py bundled` left in the folder."""
    with np.load(folder / f"{name}.npz") as columns:
        data = {key: columns[key] for key in columns}
    theirs = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    entities = np.arange(len(data["reference_scores"]))  # no row tells whom it is about
    reference = CalibrationReference(data["reference_scores"], data["reference_labels"], entities)
    found = []
    for number, chunk in enumerate(theirs["chunks"], start=1):
        rows = slice(chunk["start"], chunk["end"])
        scores, labels = data["scores"][rows], data["labels"][rows]
        ours = estimate(
            reference,
            ScoreCounts.of(scores, threshold=theirs["threshold"]),
            rows_per_entity=1,
            resamples=_RESAMPLES,
            seed=_SEED,
        ).metrics
        realised = _realised(scores, labels, threshold=theirs["threshold"])
        found += [
            Chunk(
                name,
                number,
                metric,
                realised[metric],
                ours[metric],
                Estimate(**chunk["metrics"][metric]),
            )
            for metric in _METRICS
        ]
        print(f"{name}: chunk {number} of {len(theirs['chunks'])}", file=sys.stderr)
    return found


def coverage(chunks: Sequence[Chunk]) -> Mapping[str, tuple[int, int]]:
    """By metric, in how many chunks our band and theirs held the realised value."""
    return {
        metric: (
            sum(_holds(c.ours, c.realised) for c in chunks if c.metric == metric),
            sum(_holds(c.theirs, c.realised) for c in chunks if c.metric == metric),
        )
        for metric in _METRICS
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=__doc__)
    parser.add_argument(
        "--python",
        type=Path,
        default=PROJECT / _ENVIRONMENT / "bin" / "python",
        help=f"of an environment with NannyML (default: {_ENVIRONMENT})",
    )
    return parser


def _run_nannyml(python: Path, folder: Path) -> None:
    script = Path(__file__).with_name("estimates_nannyml.py")
    print("NannyML estimates", file=sys.stderr)
    done = subprocess.run(
        [python, script, "bundled", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchmarkError(f"NannyML in {python} failed: {last}")


def _realised(scores: Any, labels: Any, *, threshold: float) -> dict[str, float]:
    flagged = scores >= threshold
    return {
        "recall": float(recall_score(labels, flagged)),
        "precision": float(precision_score(labels, flagged)),
        "f1": float(f1_score(labels, flagged)),
        "roc_auc": float(roc_auc_score(labels, scores)),
    }


def _holds(estimated: Estimate, realised: float) -> bool:
    assert estimated.low is not None
    assert estimated.high is not None
    return estimated.low <= realised <= estimated.high


def _table(name: str, chunks: Sequence[Chunk]) -> Table:
    shown = Table(title=f"{name}, {len(chunks) // len(_METRICS)} chunks", caption=_caption(chunks))
    for column in ("chunk", "metric", "realised", "NannyML", "its band", "ours", "our band"):
        shown.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for chunk in chunks:
        cells = [
            cell
            for found in (chunk.theirs, chunk.ours)
            for cell in (f"{found.value:.4f}", _band(found, chunk.realised))
        ]
        first = str(chunk.number) if chunk.metric == _METRICS[0] else ""
        last = chunk.metric == _METRICS[-1]
        shown.add_row(first, chunk.metric, f"{chunk.realised:.4f}", *cells, end_section=last)
    return shown


def _band(estimated: Estimate, realised: float) -> str:
    text = f"{estimated.low:.4f}–{estimated.high:.4f}"
    return text if _holds(estimated, realised) else f"[red]{text}[/]"


def _caption(chunks: Sequence[Chunk]) -> str:
    total = len(chunks) // len(_METRICS)
    counts = (
        f"{metric}: ours {ours}, NannyML {theirs} of {total}"
        for metric, (ours, theirs) in coverage(chunks).items()
    )
    return "Chunks whose band held the realised value: " + "; ".join(counts)


if __name__ == "__main__":
    sys.exit(main())
