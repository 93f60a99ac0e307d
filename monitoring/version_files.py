"""What monitoring needs of a version: its reference, its training metrics, and what lets recall be
estimated, read from the verified files of its folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitoring.drift.analysis import Subject
from monitoring.performance.calibrator import CalibrationReference
from monitoring.performance.evaluation import Estimate
from monitoring.reference.coded_rows import CodedRows
from monitoring.reference.profile import ReferenceProfile
from registry import manifest, pointer, store
from registry.errors import IntegrityError
from registry.schema import Schema
from registry.state import State

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion


@dataclass(frozen=True)
class Monitored:
    """A registered version under watch."""

    model: str
    subject: Subject


def read(state: State, model: str | None, version: str | None) -> Monitored:
    """The version named, else the champion.

    Raises:
        UnknownVersionError: there is no such version, or no champion.
        IntegrityError: its files are not what was registered.
    """
    stored = _chosen(state, model, version)
    contents = manifest.read_verified(stored.folder)
    try:
        return Monitored(stored.model, _subject(stored, contents))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{stored.folder}: not a version: {error!r}") from error


def _chosen(state: State, model: str | None, version: str | None) -> store.Stored:
    if version is not None:
        return store.find(state, version, model)
    champion = pointer.required(state)
    return store.get(state, model or champion.model, champion.version)


def _subject(stored: store.Stored, contents: Mapping[str, bytes]) -> Subject:
    version = str(stored.version)

    def document(name: str) -> Any:
        return json.loads(contents[name]) if name in contents else None

    calibration, coded = document(manifest.CALIBRATION), document(manifest.REFERENCE_ROWS)
    metrics = document("metrics.json")["metrics"]
    return Subject(
        version=version,
        schema=Schema.from_dict(document("schema.json")),
        threshold=float(document("model.json")["threshold"]),
        reference=ReferenceProfile.from_dict(document("reference.json")),
        training={name: Estimate(**metrics[name]) for name in metrics},
        calibration=None if calibration is None else CalibrationReference.from_dict(calibration),
        coded=None if coded is None else CodedRows.from_dict(coded),
        load=lambda: _load(stored),
    )


def _load(stored: store.Stored) -> "LoadedVersion":
    from registry import loaded  # a second, which only a report that has something to explain takes

    return loaded.load(stored.folder, str(stored.version), stored.digest, max_rows=1)
