"""champion.json: the one commit point. Standard library only, so that a rollback starts at once.

Whoever moves the pointer holds the lock, appends to the history only after the pointer stands, and
first repairs what a crash between the two left out. `generation` only grows.
"""

import getpass
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from registry import history
from registry.errors import IntegrityError, UnknownVersionError, UsageError
from registry.state import State, exclusive, replace_file
from registry.versions import Version, check_model_name

_LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Champion:
    """What serves, and the move that made it so. `raw` is the file as it stands."""

    model: str
    version: str
    generation: int
    digest: str
    event: Mapping[str, Any]
    raw: Mapping[str, Any]


def read(state: State) -> Champion | None:
    """Read the pointer; None where nothing was ever promoted.

    Raises:
        IntegrityError: the file stands there and is no pointer.
    """
    try:
        content = state.champion.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntegrityError(f"{state.champion}: {error.strerror}") from error
    try:
        raw = json.loads(content)
        champion = Champion(
            model=raw["model"],
            version=raw["version"],
            generation=raw["generation"],
            digest=raw["digest"],
            event=raw["event"],
            raw=raw,
        )
        check_model_name(champion.model)
        Version.parse(champion.version)
        if not isinstance(champion.digest, str) or not history.is_event(history.entry(raw)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
        raise IntegrityError(
            f"{state.champion}: not a champion pointer; promote a version to write it anew "
            "(see `python -m registry history`)"
        ) from error
    return champion


def required(state: State) -> Champion:
    """The champion.

    Raises:
        UnknownVersionError: there is none yet.
        IntegrityError: the pointer is damaged.
    """
    champion = read(state)
    if champion is None:
        past = history.read(state)
        wanted = past[-1]["to"] if past else "vX.Y.Z"
        words = (
            f"champion.json is gone; the last champion was {wanted}" if past else "no champion yet"
        )
        raise UnknownVersionError(f"{words}; run `python -m registry promote --version {wanted}`")
    return champion


@contextmanager
def lock(state: State) -> Iterator[None]:
    """Hold the registry against other commands on this and other hosts.

    Raises:
        MovedError: someone else held it for more than ten seconds.
    """
    busy = "another registry command holds the lock; try again"
    with exclusive(state.registry / ".lock", busy=busy, seconds=_LOCK_SECONDS):
        yield


def move(
    state: State,
    *,
    action: str,
    model: str,
    version: str,
    digest: str,
    reason: str,
    verdict: Mapping[str, Any] | None = None,
) -> Champion:
    """Commit a move; the caller holds the lock and has verified `digest`.

    The move is done once the pointer stands; if the history cannot be written then, the next
    command writes what it lacks.
    """
    known = repair(state)
    last = known[-1] if known else None
    event = {
        "action": action,
        "from": last["to"] if last else None,
        "to": version,
        "by": _storable(_who()),
        "reason": _storable(reason),
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verdict": dict(verdict or {}),
        "prev_sha256": history.line_sha256(last),
    }
    generation = last["generation"] + 1 if last else 1
    raw = {
        "schema": 1,
        "model": model,
        "version": version,
        "generation": generation,
        "digest": digest,
        "prepare": None,
        "event": event,
    }
    replace_file(state.champion, (json.dumps(raw, indent=1, ensure_ascii=False) + "\n").encode())
    with suppress(OSError):
        history.append(state, history.entry(raw))
    return Champion(model, version, generation, digest, event, raw)


def events(state: State) -> list[dict[str, Any]]:
    """The history, with the pointer's own event where a crash kept it from the file.

    A damaged pointer leaves the history as it is: the next move goes on from there.
    """
    found = history.read(state)
    try:
        champion = read(state)
    except IntegrityError:
        return found
    if champion is not None and (not found or found[-1]["generation"] < champion.generation):
        found.append(history.entry(champion.raw))
    return found


def repair(state: State) -> list[dict[str, Any]]:
    """Write what the history lacks and return it; the caller holds the lock."""
    written = len(history.read(state))
    whole = events(state)
    for missing in whole[written:]:
        history.append(state, missing)
    return whole


def _storable(text: str) -> str:
    """Bytes of a command line that are no UTF-8 arrive as lone surrogates, which no file takes."""
    return text.encode(errors="replace").decode()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
