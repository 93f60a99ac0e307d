"""A version in memory: everything that one answer depends on, swapped as one reference."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from registry import manifest, serialization
from registry.errors import IntegrityError, RegistryError
from registry.schema import Schema
from registry.scoring import Scorer, scorer_for
from registry.validation import InvalidRowsError, RowValidator

_GOLDEN_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LoadedVersion:
    """One verified version, ready to score. `examples` are rows that are nobody's."""

    model: str
    version: str
    digest: str
    threshold: float
    schema: Schema
    schema_digest: str
    validator: RowValidator
    scorer: Scorer
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    examples: tuple[dict[str, Any], ...]


def load(
    folder: Path, version: str, digest: str | None, max_rows: int, *, held_out: bool = False
) -> LoadedVersion:
    """Verify, load and warm up a version; `held_out` is that of `manifest.read_verified`.

    Raises:
        IntegrityError: the bytes are not those of the manifest (or of `digest`), hold a type that
            is not trusted, or do not reproduce the golden scores.
    """
    contents = manifest.read_verified(folder, digest, held_out=held_out)
    try:
        facts = json.loads(contents["model.json"])
        golden = json.loads(contents["golden.json"])
        schema = Schema.from_dict(json.loads(contents["schema.json"]))
        loaded = LoadedVersion(
            model=facts["model"],
            version=version,
            digest=manifest.digest_of(folder),
            threshold=float(facts["threshold"]),
            schema=schema,
            schema_digest=schema.digest(),
            validator=RowValidator(schema, max_rows),
            scorer=scorer_for(schema, serialization.load(contents[manifest.PIPELINE])),
            metrics=json.loads(contents["metrics.json"]),
            provenance=json.loads(contents["provenance.json"]),
            examples=tuple(golden["instances"][:2]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{folder}: not a version: {error!r}") from error
    _reproduce(loaded, golden, folder)
    return loaded


def try_out(folder: Path, version: str, digest: str | None, *, held_out: bool = False) -> None:
    """Load a version as a worker would, before anybody needs it.

    Raises:
        IntegrityError: it cannot be loaded, whatever the reason.
    """
    try:
        load(folder, version, digest, max_rows=1, held_out=held_out)
    except RegistryError:
        raise
    except Exception as error:  # a pipeline made of trusted types can raise anything as it scores
        raise IntegrityError(f"{folder}: cannot score its golden rows: {error!r}") from error


def _reproduce(loaded: LoadedVersion, golden: dict[str, Any], folder: Path) -> None:
    """Score the golden rows, which also warms every lazy import up."""
    try:
        validator = RowValidator(loaded.schema, len(golden["instances"]))
        rows = [row.values for row in validator.validate(golden["instances"])]
    except InvalidRowsError as error:
        raise IntegrityError(f"{folder}: golden rows break the schema: {error}") from error
    for part in (rows, rows[:1]):
        scores = loaded.scorer.score(part)
        if not np.allclose(scores, golden["scores"][: len(part)], rtol=0, atol=_GOLDEN_TOLERANCE):
            raise IntegrityError(
                f"{folder}: golden scores are not reproduced; were the libraries changed? "
                "(provenance.json names those it was trained with)"
            )
