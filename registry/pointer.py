"""champion.json: the one commit point. Standard library only, so that a rollback starts at once.

Whoever moves the pointer holds the lock, appends to the history only after the pointer stands, and
first repairs what a crash between the two left out. `generation` only grows.
"""

import getpass
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from registry import history, reserve
from registry.errors import IntegrityError, MovedError, UnknownVersionError, UsageError
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

    @property
    def prepare(self) -> Mapping[str, str] | None:
        """What a promote wants loaded before it commits: id, model, version, digest."""
        asked = self.raw.get("prepare")
        keys = ("id", "model", "version", "digest")
        named = isinstance(asked, dict) and all(isinstance(asked.get(key), str) for key in keys)
        return asked if named else None


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
    return _parsed(state.champion, content)


def _parsed(path: Path, content: bytes) -> Champion:
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
            f"{path}: not a champion pointer; `python -m registry verify` mends it"
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
        raise UnknownVersionError(
            f"champion.json is gone; the last champion was {past[-1]['to']}: "
            "`python -m registry verify` writes it anew from the history"
            if past
            else "no champion yet; run `python -m registry promote --version vX.Y.Z`"
        )
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
    expected: int | None = None,
) -> Champion:
    """Commit a move; the caller holds the lock and has verified `digest`.

    The move is done once the pointer stands; if the history cannot be written then, the next
    command writes what it lacks. A rollback takes the space that is kept for it on a full disk.

    Raises:
        MovedError: the last generation is not the `expected` one.
    """
    told: dict[str, Any] = {"action": action, "to": version, "by": who()}
    told |= {"reason": storable(reason), "verdict": dict(verdict or {})}
    commit = partial(_commit, state, told, {"model": model, "digest": digest}, expected)
    try:
        champion = commit()
    except OSError as error:
        if action != "rollback" or not reserve.spend(state, error):
            raise
        champion = commit()
    reserve.keep(state)
    return champion


def _commit(
    state: State, told: Mapping[str, Any], named: Mapping[str, str], expected: int | None
) -> Champion:
    known = repair(state)
    last = known[-1] if known else None
    _refuse_moved(last, expected)
    event = {
        "action": told["action"],
        "from": last["to"] if last else None,
        "to": told["to"],
        "by": told["by"],
        "reason": told["reason"],
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verdict": told["verdict"],
        "prev_sha256": history.line_sha256(last),
    }
    generation = last["generation"] + 1 if last else 1
    line = {"generation": generation, **named, **event}
    champion = _write(state, line, prepare=None)
    with suppress(OSError):
        history.append(state, line)
    return champion


def announce(state: State, prepare: Mapping[str, str] | None, *, expected: int) -> None:
    """Ask every worker to load a version before anything moves, or with None no longer; the caller
    holds the lock.

    Raises:
        MovedError: the champion is not the one of the `expected` generation any more.
        IntegrityError: the pointer is damaged.
    """
    champion = required(state)
    _refuse_moved(history.entry(champion.raw), expected)
    _write(state, history.entry(champion.raw), prepare=prepare)


def withdraw(state: State) -> None:
    """Ask for nothing any more; whoever asked has ended. The caller holds the lock.

    Raises:
        IntegrityError: the pointer is damaged.
    """
    champion = read(state)
    if champion is not None and champion.raw.get("prepare") is not None:
        _write(state, history.entry(champion.raw), prepare=None)


def restore(state: State) -> Champion | None:
    """Write a pointer that is gone, damaged or older than the history anew, as the history's last
    move made it; None where it stands or nothing was ever promoted. The caller holds the lock."""
    known = history.read(state)
    return None if not known or _is_sound(state, known) else _write(state, known[-1], prepare=None)


def set_aside(state: State) -> Path | None:
    """Rename what stands there and is no pointer, to where; None where it is one, where it may not
    be looked at, or there is none. For where no history tells who was champion. The caller holds
    the lock."""
    try:
        content = state.champion.read_bytes()
    except OSError:  # nothing is known about it
        return None
    try:
        _parsed(state.champion, content)
    except IntegrityError:
        return state.champion.rename(_free_name(state.champion.with_suffix(".json.damaged")))
    return None


def _free_name(path: Path) -> Path:
    """The path, or with the first number that nothing stands at: `-2`, `-3`, …"""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(one for one in chain([path], numbered) if not os.path.lexists(one))


def _is_sound(state: State, known: Sequence[history.Event]) -> bool:
    """Whether the pointer stands, can be read, and is not one from before the last known move: a
    copy that was put back."""
    try:
        champion = read(state)
    except IntegrityError:
        return False
    return champion is not None and champion.generation >= known[-1]["generation"]


def last(state: State) -> Champion | None:
    """The champion, where the pointer is gone or damaged the last one of the history; None where
    nothing was ever promoted."""
    known = events(state)
    return _of_line(known[-1], prepare=None) if known else None


def events(state: State) -> list[dict[str, Any]]:
    """The history, with the pointer's own event where a crash kept it from the file.

    A damaged pointer leaves the history as it is: the next move goes on from there.
    """
    found = history.read(state)
    return found + _unwritten(state, found)


def repair(state: State) -> list[dict[str, Any]]:
    """Write what the history lacks and return it, and remove what writers that were killed left
    half-made; the caller holds the lock."""
    for left_over in state.registry.glob(".*.json*.*"):
        left_over.unlink(missing_ok=True)
    found = history.read(state)
    missing = _unwritten(state, found)
    for line in missing:
        history.append(state, line)
    return found + missing


def _unwritten(state: State, known: Sequence[history.Event]) -> list[history.Event]:
    """The pointer's own event, where the history that is `known` lacks it."""
    try:
        champion = read(state)
    except IntegrityError:
        return []
    if champion is None or (known and known[-1]["generation"] >= champion.generation):
        return []
    return [history.entry(champion.raw)]


def moved(champion: Champion) -> MovedError:
    """What to raise for whoever began with another champion."""
    who = champion.event.get("by")
    return MovedError(
        f"{who} moved the champion to {champion.version} meanwhile (generation "
        f"{champion.generation}): nothing was changed; look at `python -m registry history` and "
        "try again"
    )


def who() -> str:
    """Who runs this command."""
    try:
        return storable(getpass.getuser())
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _write(state: State, line: history.Event, *, prepare: Mapping[str, str] | None) -> Champion:
    champion = _of_line(line, prepare=prepare)
    content = json.dumps(champion.raw, indent=1, ensure_ascii=False) + "\n"
    replace_file(state.champion, content.encode())
    return champion


def _of_line(line: history.Event, *, prepare: Mapping[str, str] | None) -> Champion:
    """The champion that a line of the history tells of."""
    named = {"model": line["model"], "version": line["to"]}
    named |= {key: line[key] for key in ("generation", "digest")}
    event = {key: value for key, value in line.items() if key not in named}
    raw = {"schema": 1, **named, "prepare": prepare, "event": event}
    return Champion(**named, event=event, raw=raw)


def _refuse_moved(last: history.Event | None, expected: int | None) -> None:
    generation = last["generation"] if last else 0
    if last is not None and expected not in (None, generation):
        raise moved(_of_line(last, prepare=None))


def storable(text: str) -> str:
    """The text as the event holds it: bytes of a command line that are no UTF-8 arrive as lone
    surrogates, which no file takes."""
    return text.encode(errors="replace").decode()
