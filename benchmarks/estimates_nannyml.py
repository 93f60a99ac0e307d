"""What NannyML estimates without labels; runs in the environment that NannyML is installed in.

`bundled FOLDER` writes, for each binary data set that comes with NannyML, its scores and labels
(NAME.npz) and the estimates by chunk (NAME.json). `fixture FILE` writes the data and estimates
that the agreement test reads. Imports nothing of this project, which is not installed there.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # read when NannyML is imported

import nannyml  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
from numpy.typing import NDArray

METRICS = ("recall", "precision", "f1", "roc_auc")
THRESHOLD = 0.5
Columns = Mapping[str, NDArray[Any]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="estimates_nannyml.py", description=__doc__)
    commands = parser.add_subparsers(required=True)
    bundled = commands.add_parser("bundled")
    bundled.add_argument("folder", type=Path)
    bundled.set_defaults(run=lambda options: write_bundled(options.folder))
    fixture = commands.add_parser("fixture")
    fixture.add_argument("file", type=Path)
    fixture.set_defaults(run=lambda options: write_fixture(options.file))
    options = parser.parse_args()
    options.run(options)
    return 0


def write_bundled(folder: Path) -> None:
    reference, analysis, targets = nannyml.load_synthetic_car_loan_dataset()
    _write(
        folder / "car-loan",
        _columns(reference, "y_pred_proba", reference["repaid"]),
        _columns(analysis, "y_pred_proba", targets["repaid"]),
        chunks=10,
    )
    reference, analysis, targets = nannyml.load_us_census_ma_employment_data()
    _write(
        folder / "census",
        _columns(reference, "predicted_probability", reference["employed"]),
        _columns(analysis, "predicted_probability", targets["employed"]),
        chunks=15,
    )


def write_fixture(path: Path) -> None:
    """A model whose scores are off, which NannyML calibrates, and one whose scores are true."""
    bends: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "miscalibrated": lambda logit: 2 * logit + 0.5,
        "calibrated": lambda logit: logit,
    }
    cases = []
    for name, bend in bends.items():
        rng = np.random.default_rng(20)
        reference, window = _drawn(2000, bend, rng), _drawn(1500, bend, rng)
        chunks, is_calibrated = _estimates(reference, window, chunks=3)
        cases.append(
            {
                "name": name,
                "calibrated": is_calibrated,
                "reference": {
                    "scores": reference["score"].tolist(),
                    "labels": "".join(map(str, reference["label"])),
                },
                "chunks": [
                    {"scores": window["score"][chunk["start"] : chunk["end"]].tolist(), **chunk}
                    for chunk in chunks
                ],
            }
        )
    origin = (
        f"CBPE of NannyML {nannyml.__version__} on seeded synthetic scores, written by "
        "benchmarks/estimates_nannyml.py fixture"
    )
    document = {"origin": origin, "threshold": THRESHOLD, "cases": cases}
    path.write_text(json.dumps(document) + "\n", encoding="utf-8")


def _drawn(
    rows: int, bend: Callable[[NDArray[Any]], NDArray[Any]], rng: np.random.Generator
) -> Columns:
    """Labels drawn with known chances, and the scores of a model that bends these."""
    logit = rng.normal(-0.5, 1.3, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    scores = np.round(1 / (1 + np.exp(-bend(logit))), 6)
    return {"score": scores, "label": labels, "flag": (scores >= THRESHOLD).astype(int)}


def _columns(rows: pd.DataFrame, score: str, labels: pd.Series) -> Columns:
    scores = rows[score].to_numpy(float)
    return {
        "score": scores,
        "label": labels.to_numpy(int),
        "flag": (scores >= THRESHOLD).astype(int),
    }


def _write(path: Path, reference: Columns, window: Columns, *, chunks: int) -> None:
    found, _ = _estimates(reference, window, chunks=chunks)
    np.savez(
        path.with_suffix(".npz"),
        reference_scores=reference["score"],
        reference_labels=reference["label"],
        scores=window["score"],
        labels=window["label"],
    )
    document = {"nannyml": nannyml.__version__, "threshold": THRESHOLD, "chunks": found}
    path.with_suffix(".json").write_text(json.dumps(document), encoding="utf-8")


def _estimates(
    reference: Columns, window: Columns, *, chunks: int
) -> tuple[list[dict[str, Any]], bool]:
    """The estimates with their bands in chunks of equal size, and whether it calibrated."""
    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_pred_proba="score",
        y_pred="flag",
        y_true="label",
        metrics=list(METRICS),
        chunker=nannyml.chunk.SizeBasedChunker(len(window["score"]) // chunks, incomplete="drop"),
    )
    estimator.fit(pd.DataFrame(reference))
    rows = pd.DataFrame({name: window[name] for name in ("score", "flag")})
    estimated = estimator.estimate(rows).filter(period="analysis").to_df()
    return [_chunk(row) for _, row in estimated.iterrows()], bool(estimator.needs_calibration)


def _chunk(row: "pd.Series[Any]") -> dict[str, Any]:
    return {
        "start": int(row["chunk", "start_index"]),
        "end": int(row["chunk", "end_index"]) + 1,
        "metrics": {
            metric: {
                "value": float(row[metric, "value"]),
                "low": float(row[metric, "lower_confidence_boundary"]),
                "high": float(row[metric, "upper_confidence_boundary"]),
            }
            for metric in METRICS
        },
    }


if __name__ == "__main__":
    sys.exit(main())
