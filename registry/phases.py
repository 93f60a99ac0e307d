"""The two waits around a commit: every worker has loaded the version before it, and every worker
serves it after it. Standard library only."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from registry import pointer, store
from registry.errors import IntegrityError, RegistryError, UnconfirmedError
from registry.heartbeat import EXPIRES_SECONDS, Beat, Workers
from registry.moves import Move
from registry.pointer import Champion
from registry.state import State, exclusive

PREPARE_SECONDS = 60.0
CONFIRM_SECONDS = 10.0
TURN_SECONDS = 10.0
_PREPARE_POLL_SECONDS = 0.02
# BentoML looks for workers that ended every ten seconds; a new one then takes some to load.
SUCCESSOR_SECONDS = 25.0
_SUCCESSOR_POLL_SECONDS = 0.1


@contextmanager
def turn(state: State, *, seconds: float) -> Iterator[None]:
    """One promote at a time, from its first to its last step; what an earlier one asked of the
    workers nobody waits for any more. A rollback does not need it.

    Raises:
        MovedError: another one is at work for longer than that.
    """
    busy = "another promote is at work; look at `python -m registry history` and try again"
    with exclusive(state.registry / ".promote.lock", busy=busy, seconds=seconds):
        yield


@contextmanager
def prepared(
    state: State, stored: store.Stored, before: Champion, workers: Workers
) -> Iterator[Sequence[Beat]]:
    """Within it every worker that was alive, which it yields, has the version in memory. That is
    withdrawn if a worker cannot, or anything within fails.

    Raises:
        IntegrityError: a worker cannot load it, or did not say in time; nothing serves it.
        MovedError: somebody moved the champion meanwhile.
    """
    if not (alive := workers.alive()):
        yield alive
        return
    try:
        _prepare(state, stored, before, workers, alive)
        yield alive
    except BaseException:
        # Once the champion has moved, whoever moved it has withdrawn this already.
        with suppress(RegistryError, OSError), pointer.lock(state):
            pointer.announce(state, None, expected=before.generation)
        raise


def confirmed(state: State, move: Move, workers: Workers, known: Sequence[Beat]) -> int:
    """Wait until all workers serve what was moved to; how many they are. Those `known` before it
    are waited for until they expire, and where all of them ended, for one that takes their place.

    Raises:
        UnconfirmedError: one does not, or hangs and will when it goes on.
    """

    def serves(generation: int | None, version: str | None) -> bool:
        if generation == move.generation:
            return version == move.after
        # A later one: somebody moved on. A worker may also know one from before all was lost.
        later = generation is not None and generation > move.generation
        return later and not _stands(state, move.generation)

    _await_a_worker(workers, known)
    missing = workers.missing(lambda beat: serves(beat.generation, beat.version), CONFIRM_SECONDS)
    alive = len(workers.alive())
    silent = [beat for beat in _silent(workers, known) if not serves(beat.generation, beat.version)]
    ended = [] if alive else _among(known, workers.ended())
    if missing or silent or ended:
        words = [f"{beat.name}: {beat.problem or 'no word'}" for beat in missing]
        words += [*map(_told_silent, silent), *map(_told_ended, ended)]
        raise UnconfirmedError(
            f"{move.after} is the champion (generation {move.generation}), but {len(words)} of "
            f"{alive + len(silent) + len(ended)} workers do not serve it: {'; '.join(words)}"
        )
    return alive


@contextmanager
def told_when_done(state: State, *, action: str, reason: str) -> Iterator[None]:
    """Whoever stops a move after its commit is told that it is done, and not to repeat it.

    Raises:
        UnconfirmedError: it was stopped after the commit.
    """
    before = _generation(state)
    try:
        yield
    except KeyboardInterrupt:
        # Somebody else may have moved the champion while this one waited for its turn.
        own = {"action": action, "by": pointer.who(), "reason": pointer.storable(reason)}
        done = [
            event
            for event in pointer.events(state)
            if event["generation"] > before and own.items() <= event.items()
        ]
        if not done:
            raise
        raise UnconfirmedError(
            f"{done[-1]['to']} is the champion (generation {done[-1]['generation']}); stopped "
            "before every worker was heard of"
        ) from None


def _generation(state: State) -> int:
    """The last one that is known; 0 where nothing was ever promoted."""
    champion = pointer.last(state)
    return 0 if champion is None else champion.generation


def _silent(workers: Workers, known: Sequence[Beat]) -> list[Beat]:
    """Who was alive and has expired meanwhile, without having ended."""
    return _among(known, workers.silent())


def _await_a_worker(workers: Workers, known: Sequence[Beat]) -> None:
    """Whoever takes the place of a worker that ended follows the pointer; but where all have, one
    must be there to do so. One that was silent may come back, as on a disk that was full."""
    began = time.monotonic()
    while not workers.alive():
        seconds = EXPIRES_SECONDS if _among(known, workers.silent()) else 0.0
        seconds = SUCCESSOR_SECONDS if _among(known, workers.ended()) else seconds
        if time.monotonic() - began >= seconds:
            return
        time.sleep(_SUCCESSOR_POLL_SECONDS)


def _among(known: Sequence[Beat], beats: Sequence[Beat]) -> list[Beat]:
    """Those of the beats whose process is known."""
    processes = {beat.process for beat in known}
    return [beat for beat in beats if beat.process in processes]


def _told_silent(beat: Beat) -> str:
    return f"{beat.name}: no sign of life for {EXPIRES_SECONDS:g} s"


def _told_ended(beat: Beat) -> str:
    return f"{beat.name}: crashed or was killed; see the service's log"


def _prepare(
    state: State,
    stored: store.Stored,
    before: Champion,
    workers: Workers,
    alive: Sequence[Beat],
) -> None:
    asked = {"id": uuid4().hex, "model": stored.model, "version": str(stored.version)}
    with pointer.lock(state):
        pointer.announce(state, {**asked, "digest": stored.digest}, expected=before.generation)
    missing = workers.missing(
        lambda beat: beat.prepared is not None and beat.prepared.id == asked["id"],
        PREPARE_SECONDS,
        over=lambda: not _stands(state, before.generation),
        poll_seconds=_PREPARE_POLL_SECONDS,
    )
    if not _stands(state, before.generation):
        raise pointer.moved(pointer.last(state) or before)
    answers = [(beat.name, beat.prepared) for beat in workers.alive()]
    problems = [
        f"{name}: {answer.problem}"
        for name, answer in answers
        if answer is not None and answer.id == asked["id"] and answer.problem is not None
    ]
    problems += [f"{beat.name}: no word in {PREPARE_SECONDS:g} s" for beat in missing]
    problems += map(_told_silent, _silent(workers, alive))
    # Loading it may be what they died of, and who takes their place would die of it as well.
    problems += map(_told_ended, _among(alive, workers.ended()))
    if problems:
        raise IntegrityError(
            f"{asked['version']} cannot serve, and nothing was changed: {'; '.join(problems)}"
        )


def _stands(state: State, generation: int) -> bool:
    """Whether the champion is still, or is, the one of that generation."""
    try:
        champion = pointer.read(state)
    except IntegrityError:
        return False
    return champion is not None and champion.generation == generation
