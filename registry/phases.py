"""The two waits around a commit: every worker has loaded the version before it, and every worker
serves it after it. Standard library only."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from registry import pointer, store
from registry.errors import IntegrityError, RegistryError, UnconfirmedError
from registry.heartbeat import Workers
from registry.moves import Move
from registry.pointer import Champion
from registry.state import State

PREPARE_SECONDS = 60.0
CONFIRM_SECONDS = 10.0
_PREPARE_POLL_SECONDS = 0.02


@contextmanager
def prepared(
    state: State, stored: store.Stored, before: Champion, workers: Workers
) -> Iterator[None]:
    """Within it every worker that is alive has the version in memory. That is withdrawn if a worker
    cannot, or anything within fails.

    Raises:
        IntegrityError: a worker cannot load it, or did not say in time; nothing serves it.
        MovedError: somebody moved the champion meanwhile.
    """
    if not workers.alive():
        yield
        return
    try:
        _prepare(state, stored, before, workers)
        yield
    except BaseException:
        # Once the champion has moved, whoever moved it has withdrawn this already.
        with suppress(RegistryError, OSError), pointer.lock(state):
            pointer.announce(state, None, expected=before.generation)
        raise


def confirmed(state: State, move: Move, workers: Workers) -> int:
    """Wait until all workers serve what was moved to; how many they are.

    Raises:
        UnconfirmedError: one does not.
    """

    def serves(generation: int | None, version: str | None) -> bool:
        if generation == move.generation:
            return version == move.after
        # A later one: somebody moved on. A worker may also know one from before all was lost.
        later = generation is not None and generation > move.generation
        return later and not _stands(state, move.generation)

    missing = workers.missing(lambda beat: serves(beat.generation, beat.version), CONFIRM_SECONDS)
    alive = len(workers.alive())
    if missing:
        words = "; ".join(f"{beat.name}: {beat.problem or 'no word'}" for beat in missing)
        raise UnconfirmedError(
            f"{move.after} is the champion (generation {move.generation}), but {len(missing)} of "
            f"{alive} workers do not serve it after {CONFIRM_SECONDS:g} s: {words}"
        )
    return alive


@contextmanager
def told_when_done(state: State) -> Iterator[None]:
    """Whoever stops a move after its commit is told that it is done, and not to repeat it.

    Raises:
        UnconfirmedError: it was stopped after the commit.
    """
    before = pointer.last(state)
    try:
        yield
    except KeyboardInterrupt:
        champion = pointer.last(state)
        if champion is None or (before is not None and champion.generation == before.generation):
            raise
        raise UnconfirmedError(
            f"{champion.version} is the champion (generation {champion.generation}); stopped "
            "before every worker was heard of"
        ) from None


def _prepare(state: State, stored: store.Stored, before: Champion, workers: Workers) -> None:
    asked = {"id": uuid4().hex, "model": stored.model, "version": str(stored.version)}
    with pointer.lock(state):
        pointer.announce(state, {**asked, "digest": stored.digest}, expected=before.generation)
    silent = workers.missing(
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
    problems += [f"{beat.name}: no word in {PREPARE_SECONDS:g} s" for beat in silent]
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
