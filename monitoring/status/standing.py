"""The registry as the person on call needs it: the champion, where a rollback goes, the workers.

Everything is only read, and whatever cannot be is told instead of raised: this is looked at when
something is broken.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitoring.status import workers
from monitoring.status.facts import Champion, Rollback, Standing, Worker
from registry import history, pointer
from registry.errors import IntegrityError
from registry.state import State

_ROOM_BYTES = 64 * 1024  # a heartbeat is one block; some disks refuse a little before the last
_Move = tuple[int, str]


def look(state: State, *, served: _Move | None = None) -> Standing:
    """What stands under `state` now; `served` is the generation and version that the service
    said it serves, before this look."""
    home = str(state.home)
    try:
        if not state.home.is_dir():
            never = served is not None and _never_had((), *served)
            problem = f"{home} is not there"
            return Standing(home, exists=False, problem=problem, never_had=never)
    except OSError as error:
        return Standing(home, problem=f"{home}: {error.strerror}")
    events, history_problem = _events(state)
    champion, pointer_problem = _champion(state, events)
    if champion is not None and _is_missing(state.models / champion.model / champion.version):
        champion = replace(champion, registered=False)
    seen = tuple(sorted(workers.look(state), key=lambda worker: worker.name))
    return Standing(
        home=home,
        champion=champion,
        rollback=_rollback(state, events, champion, seen),
        workers=seen,
        pointer_problem=pointer_problem,
        history_problem=history_problem,
        problem=_unreadable(state),
        full=_is_full(state),
        never_had=served is not None and _never_had(events, *served),
    )


def _events(state: State) -> tuple[list[history.Event], str | None]:
    """The history, and what is wrong with it."""
    try:
        written = history.read(state)
        broken = history.broken_links(written)
    except OSError as error:
        return [], f"{state.history}: {error.strerror}"
    except (ValueError, RecursionError):  # half a surrogate, or a million brackets
        return [], f"{state.history}: not a history"
    problem = None
    if broken:
        where = ", ".join(map(str, broken))
        problem = f"{state.history}: the chain breaks at generation {where}"
    with suppress(OSError, ValueError, RecursionError):
        return pointer.events(state), problem
    return written, problem


def _champion(state: State, events: Sequence[history.Event]) -> tuple[Champion | None, str | None]:
    """The pointer's champion; where it is lost the history's last one, and why."""
    try:
        found = pointer.read(state)
        if found is not None:
            return _named(history.entry(found.raw)), None
        problem = f"{state.champion} is gone" if events else None
    except IntegrityError as error:
        problem = str(error)
    return (_named(events[-1]) if events else None), problem


def _named(event: Mapping[str, Any]) -> Champion:
    """Who a line of the history, which `history.is_event` has passed, tells of."""
    verdict = event.get("verdict")
    given = verdict if isinstance(verdict, dict) else {}
    return Champion(
        model=event["model"],
        version=event["to"],
        generation=event["generation"],
        since=_moment(event["at"]),
        action=event["action"],
        by=_text(event.get("by")),
        reason=_text(event.get("reason")),
        left=_text(event.get("from")),
        verdict="forced" if given.get("forced") else _text(given.get("status")),
    )


def _rollback(
    state: State,
    events: Sequence[history.Event],
    champion: Champion | None,
    seen: Sequence[Worker],
) -> Rollback | None:
    good = history.good_champions(events)
    if champion is None or len(good) < 2:
        return None
    (model, version), further = good[-2], [name for _, name in reversed(good[:-2])]
    alive = [worker for worker in seen if worker.alive]
    return Rollback(
        version=version,
        resident=sum(version in worker.resident for worker in alive),
        registered=_is_folder(state.models / model / version),
        further=tuple(further),
    )


def _unreadable(state: State) -> str | None:
    """The first folder of the state that may not be looked into, in words."""
    for folder in (state.home, state.registry, state.workers, state.models):
        try:
            next(os.scandir(folder), None)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{folder}: {error.strerror}"
    return None


def _never_had(events: Sequence[history.Event], generation: int, version: str) -> bool:
    """Whether no such move was ever made; one that the history skips may have been."""
    moves = {event["generation"]: event["to"] for event in events}
    return generation > max(moves, default=0) or moves.get(generation, version) != version


def _is_full(state: State) -> bool:
    try:
        disk = os.statvfs(state.workers if state.workers.is_dir() else state.home)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM_BYTES


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_missing(path: Path) -> bool:
    """Whether there is surely no such folder: one that cannot be looked at may be there."""
    try:
        return not path.is_dir()
    except OSError:
        return False


def _moment(text: str) -> datetime:
    """A time in UTC; one that lies before the calendar there is its first."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
