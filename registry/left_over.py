"""What a register that was killed leaves where it is seen: a Bento, and the rows that evaluated a
version, without the model that would make them one.

A register that is alive has them so only while it holds the lock. Whoever holds it now can tell
them from what others made: the Bento names a model of its own number, as only a register's does,
and what was ever champion was whole, so that its remains are evidence and stay.
"""

from contextlib import suppress
from pathlib import Path

import yaml

from registry import pointer
from registry.errors import UsageError
from registry.state import State, sync
from registry.versions import Version, check_model_name


def sweep(state: State, staging: Path) -> None:
    """Take them out of sight: Bentos go to `staging`, rows are deleted at once, as they are real
    people's. The caller holds the lock. What cannot be removed waits for the next register."""
    with suppress(OSError):
        known = {event["to"] for event in pointer.events(state)}
        known |= {path.name for path in state.models.glob("*/*")}
        _sweep_rows(state, known)
        _sweep_bentos(state, known, staging)


def _sweep_bentos(state: State, known: set[str], staging: Path) -> None:
    if not state.bentos.is_dir():
        return
    for bento in list(state.bentos.iterdir()):
        if bento.name not in known and _is_registers(bento):
            with suppress(OSError):
                bento.rename(staging / f"left-over-{bento.name}")
    sync(state.bentos)


def _sweep_rows(state: State, known: set[str]) -> None:
    if not state.held_out.is_dir():
        return
    for rows in list(state.held_out.glob("*.parquet")):
        if rows.stem not in known and _is_version(rows.stem):
            with suppress(OSError):
                rows.unlink()
    sync(state.held_out)


def _is_registers(bento: Path) -> bool:
    """Whether its one model is to have the Bento's own number."""
    if not _is_version(bento.name):
        return False
    try:
        facts = yaml.safe_load((bento / "bento.yaml").read_bytes())
        (tag,) = [str(entry["tag"]) for entry in facts["models"]]
        model, _, version = tag.partition(":")
        check_model_name(model)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, UsageError):
        return False
    return version == bento.name


def _is_version(name: str) -> bool:
    try:
        Version.parse(name)
    except UsageError:
        return False
    return True
