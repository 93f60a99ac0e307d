"""The versions that drills need: good ones by the product's own commands, and bad ones that pass
every check there is, as they do at night: only live rows, or recall, show what is wrong."""

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from registry import manifest, serialization
from registry.state import replace_file

FIRST, SECOND = "v1.0.0", "v1.1.0"
RAISING, STRICT = "v1.2.0", "v1.3.0"
RETRAINED = "v2.0.0"

_STRICT_THRESHOLD = 0.95


def raising(source: Path, target: Path) -> None:
    """Artefacts whose encoder raises on a level that the fitted rows did not have, as newer rows
    do. Golden rows with one are left out: what checks a version must not be what finds it."""

    def change(folder: Path) -> None:
        path = folder / manifest.PIPELINE
        pipeline = serialization.load(path.read_bytes())
        (calibrated,) = pipeline.calibrated_classifiers_
        encoder, names = _texts(calibrated.estimator)
        encoder.handle_unknown = "error"
        replace_file(path, serialization.dump(pipeline))
        known = {name: set(levels) for name, levels in zip(names, encoder.categories_, strict=True)}
        _leave_out(folder / "golden.json", known)

    _changed(source, target, change)


def strict(source: Path, target: Path) -> None:
    """Artefacts with a threshold that hardly anybody reaches."""

    def change(folder: Path) -> None:
        path = folder / "model.json"
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        replace_file(path, json.dumps(facts | {"threshold": _STRICT_THRESHOLD}).encode())

    _changed(source, target, change)


BAD: dict[str, Callable[[Path, Path], None]] = {RAISING: raising, STRICT: strict}


def _texts(pipeline: Any) -> tuple[Any, list[str]]:
    """The fitted encoder of categories, and which columns it encodes."""
    columns = pipeline.named_steps["columns"]
    (names,) = (names for part, _, names in columns.transformers_ if part == "texts")
    return columns.named_transformers_["texts"], list(names)


def _leave_out(path: Path, known: Mapping[str, Collection[Any]]) -> None:
    """Golden rows with a level that is not known."""
    golden = json.loads(path.read_bytes())
    kept = [
        (row, score)
        for row, score in zip(golden["instances"], golden["scores"], strict=True)
        if all(row[name] in levels for name, levels in known.items())
    ]
    content = {"instances": [row for row, _ in kept], "scores": [score for _, score in kept]}
    replace_file(path, json.dumps(golden | content).encode())


def _changed(source: Path, target: Path, change: Callable[[Path], None]) -> None:
    shutil.copytree(source, target)
    change(target)
    manifest.write(target)
