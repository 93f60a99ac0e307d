"""Register a version: the BentoML model and the Bento, both or neither.

Both are made in a staging store on the same filesystem, checked, and moved in by rename: the Bento
first, then the model, which is what makes a version exist. A Bento without its model is what a
crash between the two leaves; only `bentoml list` shows it, until the next register removes it.
The rows that evaluated the version are real people's: they go to a folder of their own before
either, so that a version that can be seen can be compared.
"""

import hashlib
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
from registry import left_over, manifest, pointer, store
from registry.errors import IntegrityError, RegistryError, UsageError, VersionExistsError
from registry.state import BENTO_NAME, PROJECT, State, hand_over, make_folder, sync
from registry.versions import Version, check_model_name

_STAGING_SECONDS = 3600.0
_SERVING_FOLDERS = ("envs", "tmp")  # which `bentoml serve` makes, and may not everywhere
_SHOWN = 300  # characters of BentoML's last line


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
        IntegrityError: the artefacts are not those of their manifest or provenance, cannot be
            loaded, or do not reproduce their golden scores.
        RegistryError: BentoML could not build, or the disk is full; nothing is left behind.
    """
    name = str(Version.parse(version))
    if not artifacts.is_dir():
        raise UsageError(
            f"{artifacts}: no such folder; run `python -m training.train --output {artifacts}`"
        )
    settings.load(configuration)
    contents = manifest.read_verified(artifacts, held_out=True)
    model = _model_name(artifacts, contents["model.json"])
    target = state.models / model / name
    refuse_existing(state, name)
    done = Registration(model, name, manifest.digest_of(artifacts), target)
    held_out = _held_out(artifacts, contents["provenance.json"])
    from registry import loaded  # scikit-learn takes seconds, and a wrong call is told at once

    loaded.try_out(artifacts, done.version, done.digest, held_out=True)
    if dry_run:
        return done
    try:
        with _staging(state, name) as staging:
            _package(staging, artifacts, model, name, configuration)
            staged = _Staged(staging, model, name)
            manifest.read_verified(staged.model, done.digest)
            for folder in (staged.model, staged.bento):
                _settle(folder)
            if held_out is not None:
                _write_private(staged.held_out, held_out)
            with pointer.lock(state):
                _move_in(state, staged, target)
    except OSError as error:
        raise RegistryError(f"register {name}: {error.strerror}: nothing was registered") from error
    return done


@dataclass(frozen=True)
class _Staged:
    """Where the parts of a version are made."""

    folder: Path
    name: str
    version: str

    @property
    def model(self) -> Path:
        return self.folder / "models" / self.name / self.version

    @property
    def bento(self) -> Path:
        return self.folder / "bentos" / BENTO_NAME / self.version

    @property
    def held_out(self) -> Path:
        return self.folder / manifest.HELD_OUT


def _model_name(artifacts: Path, content: bytes) -> str:
    try:
        return check_model_name(json.loads(content)["model"])
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise IntegrityError(f"{artifacts / 'model.json'}: names no model") from error


def _held_out(artifacts: Path, provenance: bytes) -> bytes | None:
    """The rows that evaluated the version; None where they were not kept."""
    path = artifacts / manifest.HELD_OUT
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror}") from error
    try:
        named = json.loads(provenance)["held_out"]["sha256"]
    except (ValueError, KeyError, TypeError):
        named = None
    if hashlib.sha256(content).hexdigest() != named:
        raise IntegrityError(
            f"{path}: the bytes are not those that provenance.json names; train anew, or remove "
            "the file to register a version that cannot be compared"
        )
    return content


def refuse_existing(state: State, name: str) -> None:
    """A Bento has the same name for every model, so a number is taken whosever version it is.

    Raises:
        VersionExistsError: it is.
    """
    for taken in state.models.glob(f"*/{name}"):
        raise VersionExistsError(
            f"{taken.parent.name}:{name} is registered already and a version is never overwritten; "
            f"the next free number is {store.next_version(state)}"
        )


@contextmanager
def _staging(state: State, name: str) -> Iterator[Path]:
    """A folder on the stores' filesystem; gone at the end whatever happens."""
    make_folder(state.staging)
    for staged in state.staging.iterdir():  # by a register that was killed
        if time.time() - staged.stat().st_mtime > _STAGING_SECONDS:
            shutil.rmtree(staged, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=state.staging, prefix=f"{name}-"))
    hand_over(folder)  # so that the owner can sweep it, should this be killed
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
        "TMPDIR": str(staging),  # so that what a killed build leaves is swept with it
        settings.FILE_VARIABLE: str(configuration.absolute()),
    }
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = lines[-1][:_SHOWN] if lines else "no word"
        raise RegistryError(f"BentoML could not build {version}: {last}")


def _settle(folder: Path) -> None:
    """Readable for a container's user, and on disk before it becomes visible."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        sync(path)


def _write_private(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o640)
    sync(path)


def _move_in(state: State, staged: _Staged, model: Path) -> None:
    refuse_existing(state, model.name)
    bento, held_out = state.bentos / model.name, state.held_out / f"{model.name}.parquet"
    for name in _SERVING_FOLDERS:
        make_folder(state.home / name)
    left_over.sweep(state, staged.folder)
    for target in (model, bento):
        make_folder(target.parent)
    if bento.exists():  # whoever's it is, its model does not exist
        bento.rename(staged.folder / "left-over")
    try:
        _keep(staged.held_out, held_out)
        staged.bento.rename(bento)
        staged.model.rename(model)
    finally:
        if not model.exists():
            held_out.unlink(missing_ok=True)
            if bento.exists():
                bento.rename(staged.bento)
    for target in (model, bento):
        hand_over(target, *sorted(target.rglob("*")))
        sync(target.parent)


def _keep(staged: Path, held_out: Path) -> None:
    """Put the held-out rows, if there are any, in the place of what a crash left there."""
    held_out.unlink(missing_ok=True)
    if staged.exists():
        make_folder(held_out.parent, 0o750)
        staged.rename(held_out)
        hand_over(held_out)
        sync(held_out.parent)
