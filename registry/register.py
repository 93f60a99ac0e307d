"""Register a version: the BentoML model and the Bento, both or neither.

Both are made in a staging store on the same filesystem, checked, and moved in by rename: the Bento
first, then the model, which is what makes a version exist. A Bento without its model is what a
crash between the two leaves; nothing lists it as a version, and the next register replaces it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry import configuration as settings
from registry import manifest, pointer
from registry.errors import IntegrityError, RegistryError, UsageError, VersionExistsError
from registry.state import BENTO_NAME, PROJECT, State, sync
from registry.versions import Version, check_model_name

_STAGING_SECONDS = 3600.0


@dataclass(frozen=True)
class Registration:
    """What was made, or with `--dry-run` would be."""

    model: str
    version: str
    digest: str
    folder: Path


def register(
    state: State, *, artifacts: Path, version: str, configuration: Path, dry_run: bool = False
) -> Registration:
    """Make `model:version` and `datathon-api:version` from a folder of artefacts.

    Raises:
        UsageError: the version is not an exact name, there are no artefacts, or `configuration`,
            which goes into the Bento, is wrong.
        VersionExistsError: it is registered already; a version is never overwritten.
        IntegrityError: the artefacts are not those of their manifest.
        RegistryError: BentoML could not build, or the disk is full; nothing is left behind.
    """
    name = str(Version.parse(version))
    if not artifacts.is_dir():
        raise UsageError(
            f"{artifacts}: no such folder; run `python -m training.train --output {artifacts}`"
        )
    settings.load(configuration)
    model = _model_name(artifacts)
    target = state.models / model / name
    _refuse_existing(state, name)
    done = Registration(model, name, manifest.digest_of(artifacts), target)
    if dry_run:
        return done
    try:
        with _staging(state, name) as staging:
            _package(staging, artifacts, model, name, configuration)
            staged = staging / "models" / model / name
            manifest.read_verified(staged, done.digest)
            bento = staging / "bentos" / BENTO_NAME / name
            for folder in (staged, bento):
                _settle(folder)
            with pointer.lock(state):
                _move_in(state, staged, target, bento, state.bentos / name)
    except OSError as error:
        raise RegistryError(f"register {name}: {error.strerror}: nothing was registered") from error
    return done


def _model_name(artifacts: Path) -> str:
    content = manifest.read_verified(artifacts)["model.json"]
    try:
        return check_model_name(json.loads(content)["model"])
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise IntegrityError(f"{artifacts / 'model.json'}: names no model") from error


def _refuse_existing(state: State, name: str) -> None:
    """A Bento has the same name for every model, so a number is taken whosever version it is."""
    for taken in state.models.glob(f"*/{name}"):
        raise VersionExistsError(
            f"{taken.parent.name}:{name} is registered already and a version is never overwritten; "
            "choose the next number (see `python -m registry list`)"
        )


@contextmanager
def _staging(state: State, name: str) -> Iterator[Path]:
    """A folder on the stores' filesystem; gone at the end whatever happens."""
    state.staging.mkdir(parents=True, exist_ok=True)
    for left_over in state.staging.iterdir():  # by a register that was killed
        if time.time() - left_over.stat().st_mtime > _STAGING_SECONDS:
            shutil.rmtree(left_over, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=state.staging, prefix=f"{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _package(staging: Path, artifacts: Path, model: str, version: str, configuration: Path) -> None:
    context = staging / "context"
    context.mkdir()
    command = [sys.executable, "-m", "registry.package"]
    command += ["--artifacts", str(artifacts.absolute()), "--model", model, "--version", version]
    command += ["--configuration", str(configuration.absolute()), "--context", str(context)]
    environment = os.environ | {
        "BENTOML_HOME": str(staging),
        "BENTOML_DO_NOT_TRACK": "True",
        settings.FILE_VARIABLE: str(configuration.absolute()),
    }
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RegistryError(
            f"BentoML could not build {version}: {lines[-1] if lines else 'no word'}"
        )


def _settle(folder: Path) -> None:
    """Readable for a container's user, and on disk before it becomes visible."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        sync(path)


def _move_in(state: State, staged: Path, model: Path, bento: Path, bento_target: Path) -> None:
    _refuse_existing(state, model.name)
    for target in (model, bento_target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if bento_target.exists():  # left by a crash: its model does not exist
        bento_target.rename(bento.with_name("left-over"))
    bento.rename(bento_target)
    try:
        staged.rename(model)
    except OSError as error:
        bento_target.rename(bento)
        raise IntegrityError(f"{model}: {error.strerror}") from error
    for target in (model, bento_target):
        sync(target.parent)
