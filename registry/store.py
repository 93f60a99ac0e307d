"""What is registered: reading BentoML's model store by exact names, without importing BentoML."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import manifest, pointer
from registry.errors import IntegrityError, UnknownVersionError, UsageError
from registry.state import State
from registry.versions import Version, check_model_name, unknown_version


@dataclass(frozen=True)
class Stored:
    """One registered version and the folder that holds it."""

    model: str
    version: Version
    folder: Path

    @property
    def digest(self) -> str:
        return manifest.digest_of(self.folder)

    def document(self, name: str) -> dict[str, Any]:
        """One of the version's JSON files.

        Raises:
            IntegrityError: it is missing or is no JSON object.
        """
        try:
            content = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{self.folder / name}: unreadable") from error
        if not isinstance(content, dict):
            raise IntegrityError(f"{self.folder / name}: not an object")
        return content


def versions(state: State, model: str) -> list[Stored]:
    """The registered versions of a model, lowest first, damaged ones too; what has another name is
    not ours and passed over."""
    folder = state.models / model
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            version = Version.parse(path.name)
        except UsageError:
            continue
        if path.is_dir():
            found.append(Stored(model, version, path))
    return sorted(found, key=lambda stored: stored.version)


def get(state: State, model: str, version: str) -> Stored:
    """One exact version.

    Raises:
        UnknownVersionError: not registered under exactly this name; the message names the nearest.
    """
    known = versions(state, model)
    for stored in known:
        if str(stored.version) == version:
            return stored
    raise unknown_version(version, [stored.version for stored in known])


def find(state: State, version: str, model: str | None = None) -> Stored:
    """One exact version of whichever model has it; a number is given to one model only.

    Raises:
        UnknownVersionError: not registered under exactly this name; the message names the nearest.
        UsageError: `model` is no model's name, or two models have the version after all.
    """
    known = [stored for name in models(state, model) for stored in versions(state, name)]
    found = [stored for stored in known if str(stored.version) == version]
    if len(found) > 1:
        names = ", ".join(stored.model for stored in found)
        raise UsageError(f"several models have {version}, choose with --model: {names}")
    if not found:
        raise unknown_version(version, [stored.version for stored in known])
    return found[0]


def models(state: State, wanted: str | None = None) -> list[str]:
    """The models that a command is about: the one asked for, else all that are registered, and all
    that ever had the champion, whatever was lost of them since.

    Raises:
        UsageError: `wanted` is no model's name.
        UnknownVersionError: none is registered.
    """
    if wanted is not None:
        return [check_model_name(wanted)]
    ours = {name for name in _folders(state) if _is_ours(state, name)}
    names = sorted(ours | {event["model"] for event in pointer.events(state)})
    if not names:
        raise UnknownVersionError(
            "nothing is registered; run `python -m training.train --output artifacts/` and "
            "`python -m registry register --version v1.0.0 --artifacts artifacts/`"
        )
    return names


def next_version(state: State) -> Version:
    """The next free minor version, whosever the others are, and whether or not it still stands:
    what was champion once keeps its number."""
    known = [stored.version for name in _folders(state) for stored in versions(state, name)]
    known += [Version.parse(event["to"]) for event in pointer.events(state)]
    if not known:
        return Version(1, 0, 0)
    newest = max(known)
    return Version(newest.major, newest.minor + 1, 0)


def _folders(state: State) -> list[str]:
    """The names in BentoML's store, other people's models among them."""
    folders = state.models.iterdir() if state.models.is_dir() else ()
    return [path.name for path in folders if path.is_dir()]


def _is_ours(state: State, model: str) -> bool:
    """Other people's models have no manifest; a version that lost its own has all the rest."""
    for version in versions(state, model):
        present = {path.name for path in version.folder.iterdir()}
        if manifest.MANIFEST in present or present >= set(manifest.REQUIRED):
            return True
    return False
