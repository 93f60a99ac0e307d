"""The sha256 manifest of a version: what was trained is what is loaded.

A version's digest is the sha256 of its manifest, so that one short string in champion.json stands
for every byte. Artefacts are read once, hashed, and used from the bytes that were hashed.
"""

import hashlib
import json
from pathlib import Path

from registry.errors import IntegrityError

MANIFEST = "manifest.json"
PIPELINE = "pipeline.skops"
REQUIRED = (
    PIPELINE,
    "schema.json",
    "model.json",
    "metrics.json",
    "reference.json",
    "golden.json",
    "provenance.json",
    "model_card.md",
    "calibration.png",
    "precision_recall.png",
)
CALIBRATION = "calibration.json"
REFERENCE_ROWS = "reference_rows.json"
OPTIONAL = (CALIBRATION, REFERENCE_ROWS)
"""What monitoring can do without: then recall is not estimated, or no joint check made."""
HELD_OUT = "held_out.parquet"
"""Real people's rows, which stand beside artefacts and are no part of a version; its provenance
holds their sha256."""
_BENTOMLS_OWN = "model.yaml"


def write(folder: Path) -> None:
    """Write `manifest.json` over the files that stand in `folder`."""
    files = {
        path.name: {"sha256": _sha256(path.read_bytes()), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name not in {_BENTOMLS_OWN, HELD_OUT, MANIFEST}
    }
    text = json.dumps({"schema": 1, "files": files}, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_verified(
    folder: Path, digest: str | None = None, *, held_out: bool = False
) -> dict[str, bytes]:
    """Read every artefact of a version and return its bytes by name. The rows of `held_out` may
    stand beside them where the version was trained, and never in the store.

    Raises:
        IntegrityError: a file is missing, is not what the manifest says, or is not in it; or the
            manifest is not the one that `digest` (`sha256:…`) names.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
        facts = json.loads(manifest)["files"]
        expected = {name: str(entry["sha256"]) for name, entry in facts.items()}
    except OSError as error:
        raise IntegrityError(f"{folder}: no readable {MANIFEST}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{folder / MANIFEST}: not a manifest") from error
    if digest is not None and _tagged(manifest) != digest:
        raise IntegrityError(f"{folder}: the manifest is not the one that was promoted ({digest})")
    lacking = set(REQUIRED) - expected.keys()
    if lacking:
        raise IntegrityError(f"{folder}: the manifest lacks {', '.join(sorted(lacking))}")
    beside = {_BENTOMLS_OWN, MANIFEST, *([HELD_OUT] if held_out else [])}
    present = {path.name for path in folder.iterdir()} - beside
    if present != expected.keys():
        names = ", ".join(sorted(present ^ expected.keys()))
        raise IntegrityError(f"{folder}: files and manifest disagree about {names}")
    contents = {}
    for name, wanted in expected.items():
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            raise IntegrityError(f"{folder / name}: {error.strerror}") from error
        if _sha256(contents[name]) != wanted:
            raise IntegrityError(f"{folder / name}: the bytes are not those of the manifest")
    return contents


def digest_of(folder: Path) -> str:
    """The version's digest, `sha256:…` of its manifest.

    Raises:
        IntegrityError: there is no manifest.
    """
    try:
        return _tagged((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise IntegrityError(f"{folder}: no readable {MANIFEST}: {error.strerror}") from error


def _tagged(manifest: bytes) -> str:
    return "sha256:" + _sha256(manifest)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
