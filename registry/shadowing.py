"""`shadow`: who is scored beside the champion, and by how many workers. Standard library only."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from registry import challenger
from registry.challenger import Challenger
from registry.errors import IntegrityError, UnconfirmedError
from registry.heartbeat import Beat, Workers
from registry.state import State

CONFIRM_SECONDS = 30.0


@dataclass(frozen=True)
class Shadow:
    """Who is in the shadow, or with `would` could be; `scoring` of the workers score it."""

    challenger: Challenger | None
    workers: int
    scoring: int
    would: bool = False

    def __str__(self) -> str:
        chosen = self.challenger
        words = "off" if chosen is None else f"{chosen.model}:{chosen.version}"
        if self.would:
            return f"would be {words}"
        if self.workers == 0:
            return f"{words}; no service is running"
        if chosen is None:
            return words
        return f"{words}, scored by {self.scoring} of {self.workers} workers"

    def to_dict(self) -> dict[str, Any]:
        return {
            "challenger": None if self.challenger is None else vars(self.challenger),
            "workers": self.workers,
            "scoring": self.scoring,
            "done": not self.would,
        }


def current(state: State) -> Shadow:
    """Who is in the shadow.

    Raises:
        IntegrityError: challenger.json is damaged.
    """
    return _seen(challenger.read(state), Workers(state).alive())


def begin(state: State, *, model: str | None, version: str, dry_run: bool) -> Shadow:
    """Put a version into the shadow and wait until all workers score it.

    Raises:
        UnknownVersionError, IntegrityError, UsageError, MovedError: nothing was changed.
        UnconfirmedError: a worker does not score it.
    """
    with _told_when_set(state):
        chosen = challenger.choose(state, model=model, version=version, dry_run=dry_run)
        if dry_run:
            return Shadow(chosen, 0, 0, would=True)
        return _confirmed(state, chosen)


def end(state: State, *, dry_run: bool) -> Shadow:
    """Let no version be scored in the shadow, and wait until none is.

    Raises:
        MovedError: another command holds the lock.
        UnconfirmedError: a worker still scores one.
    """
    if dry_run:
        return Shadow(None, 0, 0, would=True)
    with _told_when_set(state):
        challenger.dismiss(state)
        return _confirmed(state, None)


def _confirmed(state: State, chosen: Challenger | None) -> Shadow:
    wanted = chosen.version if chosen is not None else None
    workers = Workers(state)
    missing = workers.missing(lambda beat: beat.challenger == wanted, CONFIRM_SECONDS)
    if missing:
        names = ", ".join(beat.name for beat in missing)
        raise UnconfirmedError(
            f"the shadow is set to {wanted or 'off'}, but not in {names}; see the service's log"
        )
    return _seen(chosen, workers.alive())


@contextmanager
def _told_when_set(state: State) -> Iterator[None]:
    """Whoever stops the command after it has changed who is in the shadow is told so.

    Raises:
        UnconfirmedError: it was stopped after that.
    """
    before = _chosen(state)
    try:
        yield
    except KeyboardInterrupt:
        now = _chosen(state)
        if now == before:
            raise
        raise UnconfirmedError(
            f"the shadow is set to {now.version if now else 'off'}; stopped before every worker "
            "was heard of"
        ) from None


def _chosen(state: State) -> Challenger | None:
    """None where a damaged file tells nobody either."""
    with suppress(IntegrityError):
        return challenger.read(state)
    return None


def _seen(chosen: Challenger | None, alive: list[Beat]) -> Shadow:
    version = chosen.version if chosen is not None else None
    scoring = sum(beat.challenger == version for beat in alive) if version else 0
    return Shadow(chosen, len(alive), scoring)
