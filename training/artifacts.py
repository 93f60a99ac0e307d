"""Writing a version's files: all of them in a new folder, which then takes the old one's place."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
from pandas.util import hash_pandas_object

from monitoring.performance.calibrator import CalibrationReference
from monitoring.performance.evaluation import METRICS
from monitoring.reference.coded_rows import CodedRows
from monitoring.reference.profiling import build_reference
from registry import held_out, manifest, serialization
from registry.configuration import Configuration
from registry.pipeline import frame_of
from training import model_card, plots
from training.errors import TrainingError
from training.fit import Trained

_GOLDEN_ROWS = 24
_DRAWN = 100 * _GOLDEN_ROWS
_LIBRARIES = ("bentoml", "scikit-learn", "skops", "numpy", "pandas", "scipy")


def write(
    trained: Trained, configuration: Configuration, source: Mapping[str, Any], output: Path
) -> None:
    """Write the version's artefacts into `output`.

    Raises:
        TrainingError: `output` holds something that is not artefacts of ours, or cannot be written;
            what was there is still there then.
    """
    refuse_foreign(output)
    output = output.resolve()  # a link stays, and its target is replaced
    contents = _contents(trained, configuration, source)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
    except OSError as error:
        raise TrainingError(f"{output}: {error.strerror}") from error
    try:
        for name, content in contents.items():
            (fresh / name).write_bytes(content)
        (fresh / held_out.FILE).chmod(0o640)
        manifest.write(fresh)
        fresh.chmod(0o755)
        _replace(output, fresh)
    except OSError as error:
        raise TrainingError(f"{output}: {error.strerror}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def refuse_foreign(output: Path) -> None:
    """Refuse to replace anything but a folder in which every file is an artefact; asked before
    the work, so that minutes of training do not end in a folder that cannot be written.

    Raises:
        TrainingError: `output` is a file, a folder that holds something else, or out of reach.
    """
    nearest = next(folder for folder in output.absolute().parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise TrainingError(f"{output}: cannot be made in {nearest}")
    if not output.exists():
        return
    if not output.is_dir():
        raise TrainingError(f"{output}: is a file; choose another --output")
    ours = {*manifest.REQUIRED, *manifest.OPTIONAL, manifest.MANIFEST, held_out.FILE}
    names = {path.name for path in output.iterdir()} - ours
    if names:
        raise TrainingError(
            f"{output}: holds {min(names)}, which is no artefact; choose another --output"
        )


def _replace(output: Path, fresh: Path) -> None:
    """Put `fresh` in the place of `output`, which comes back when that is interrupted."""
    old = fresh.with_name(f"{fresh.name}-old")
    try:
        if output.exists():
            output.rename(old)
        fresh.rename(output)
    finally:
        if old.exists() and not output.exists():
            old.rename(output)
        shutil.rmtree(old, ignore_errors=True)


def _contents(
    trained: Trained, configuration: Configuration, source: Mapping[str, Any]
) -> dict[str, bytes]:
    schema, evaluated = configuration.schema, trained.evaluated
    reference = build_reference(
        evaluated.columns,
        schema.kinds,
        trained.scores,
        entities=len(np.unique(evaluated.entities)),
    )
    calibration = CalibrationReference.of(
        trained.scores, evaluated.target, evaluated.entities, seed=configuration.training.seed
    )
    rows = held_out.to_bytes(
        evaluated.columns,
        evaluated.target,
        evaluated.entities,
        trained.scores,
        protocol=trained.protocol,
    )
    provenance = _provenance(trained, configuration, source) | {
        "held_out": {
            "sha256": hashlib.sha256(rows).hexdigest(),
            "rows": evaluated.rows,
            "protocol": trained.protocol,
        }
    }
    contents = {
        held_out.FILE: rows,
        manifest.PIPELINE: serialization.dump(trained.model),
        "schema.json": _json(schema.to_dict()),
        "model.json": _json(_model(trained, configuration)),
        "metrics.json": _json(_metrics(trained)),
        "reference.json": _json(reference.to_dict()),
        manifest.CALIBRATION: _json(calibration.to_dict()),
        "golden.json": _json(_golden(trained, configuration)),
        "provenance.json": _json(provenance),
        "model_card.md": model_card.write(trained, configuration).encode(),
        "calibration.png": plots.calibration(trained),
        "precision_recall.png": plots.precision_recall(trained),
    }
    if configuration.drift.reference_rows:
        coded = CodedRows.build(
            reference,
            evaluated.columns,
            evaluated.entities,
            rows=configuration.drift.reference_rows,
            seed=configuration.training.seed,
        )
        contents[manifest.REFERENCE_ROWS] = _json(coded.to_dict())
    return contents


def _model(trained: Trained, configuration: Configuration) -> dict[str, Any]:
    model, settings = configuration.model, configuration.training
    return {
        "model": model.name,
        "target": model.target,
        "time_column": model.time_column,
        "entity_column": model.entity_column,
        "algorithm": trained.chosen,
        "calibration": settings.calibration,
        "threshold": trained.threshold,
        "threshold_rule": settings.threshold_rule,
    }


def _metrics(trained: Trained) -> dict[str, Any]:
    return {
        "protocol": trained.protocol,
        "fitted_rows": trained.fitted.rows,
        **trained.evaluation.to_dict(),
        "baselines": {
            name: evaluation.to_dict() for name, evaluation in model_card.compared(trained)[1:]
        },
        "candidates": {
            result.name: list(result.average_precision) for result in trained.candidates
        },
        "interval": "95 %, bootstrap by entity",
        "names": list(METRICS),
    }


def _golden(trained: Trained, configuration: Configuration) -> dict[str, Any]:
    """Rows that are nobody's (each column drawn on its own from the evaluated rows, and what still
    equals a real row passed over) and their scores, which a loaded version must reproduce."""
    rng = np.random.default_rng(configuration.training.seed)
    drawn = frame_of(
        {name: rng.choice(values, _DRAWN) for name, values in trained.evaluated.columns.items()}
    )
    real = [frame_of(data.columns) for data in (trained.fitted, trained.evaluated)]
    seen = np.concatenate([hash_pandas_object(frame, index=False) for frame in real])
    taken = np.isin(hash_pandas_object(drawn, index=False), seen)
    # With a few columns of a few values every combination is somebody's, and tells nothing of them.
    first = np.argsort(taken, kind="stable")[:_GOLDEN_ROWS]
    columns = {str(name): drawn[name].to_numpy()[first] for name in drawn}
    instances = [
        {
            feature.name: _plain(columns[feature.name][row], feature.type)
            for feature in configuration.schema.features
        }
        for row in range(_GOLDEN_ROWS)
    ]
    scores = trained.model.predict_proba(frame_of(columns))[:, 1]
    return {"instances": instances, "scores": [float(score) for score in scores]}


def _plain(value: Any, kind: str) -> float | int | str | None:
    if value is None or value != value:
        return None
    if kind == "category":
        return str(value)
    return int(value) if kind == "integer" else float(value)


def _provenance(
    trained: Trained, configuration: Configuration, source: Mapping[str, Any]
) -> dict[str, Any]:
    def periods(values: Any) -> list[str] | None:
        return None if values is None else [str(value) for value in sorted(set(values.tolist()))]

    settings = json.dumps(configuration, default=_dictionary, sort_keys=True)
    return {
        "trained_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": dict(source),
        "fitted": {"rows": trained.fitted.rows, "periods": periods(trained.fitted.periods)},
        "evaluated": {
            "rows": trained.evaluated.rows,
            "periods": periods(trained.evaluated.periods),
        },
        "seed": configuration.training.seed,
        "configuration_sha256": hashlib.sha256(settings.encode()).hexdigest(),
        "code_revision": _revision(),
        "python": platform.python_version(),
        "libraries": {name: library_version(name) for name in _LIBRARIES},
    }


def _dictionary(value: Any) -> Any:
    return vars(value) if hasattr(value, "__dict__") else str(value)


def _revision() -> str | None:
    """The commit of this checkout with `-dirty` where files differ; None outside of one."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _json(content: Any) -> bytes:
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()
