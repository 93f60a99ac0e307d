"""Moving the champion where services run: every worker is ready before a promote commits, and every
worker serves the new generation before a command says that it is done.

The commit itself is one file (see registry.pointer); this is what stands around it. A rollback
waits for nobody before it commits, and a promote holds no lock that a rollback needs. Standard
library only, but for the guardrails, which a promote imports when it gets to them.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

from registry import challenger, manifest, moves, pointer, store
from registry.errors import (
    GuardrailError,
    IntegrityError,
    RegistryError,
    UnconfirmedError,
    UsageError,
)
from registry.heartbeat import Beat, Workers
from registry.moves import Move
from registry.pointer import Champion
from registry.state import State, exclusive
from registry.verdict import Check, points

Judge = Callable[[Champion | None, store.Stored], Mapping[str, Any]]
"""What says of a challenger whether it may replace the champion, and raises GuardrailError where it
may not."""

PREPARE_SECONDS = 60.0
CONFIRM_SECONDS = 10.0
_TURN_SECONDS = 10.0


@dataclass(frozen=True)
class Swap:
    """A move and how the workers that are alive took it: `seconds` from the commit until the last
    of them served it, 0 where nothing was moved. `resident` of them had it in memory before."""

    move: Move
    workers: int
    resident: int
    seconds: float
    verdict: Mapping[str, Any] | None = None
    already: bool = False

    def __str__(self) -> str:
        move = self.move
        if self.already:
            return (
                f"{move.model}:{move.after} is the champion already, generation {move.generation}"
            )
        words = f"{move.model}: {move.before or 'no champion'} → {move.after}"
        words += f", generation {move.generation}"
        if self.workers == 0:
            return f"{words}; no service is running"
        if move.champion is None:
            return f"{words}; {self.workers} worker(s), {self.resident} of them have it in memory"
        return f"{words}; {self.workers} of {self.workers} workers in {self.seconds:.2f} s"

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.move.to_dict(),
            "workers": self.workers,
            "resident": self.resident,
            "seconds": round(self.seconds, 3),
            "verdict": self.verdict,
        }


def guarded(state: State) -> Judge:
    """The judge that takes both versions' scores of the same held-out rows, within the limits of
    the configuration."""

    def judge(champion: Champion | None, stored: store.Stored) -> Mapping[str, Any]:
        from registry import challenge, configuration  # numpy and scikit-learn: seconds

        verdict = challenge.judge(
            state, champion=champion, challenger=stored, settings=configuration.load()
        )
        if verdict["status"] != "pass":
            raise GuardrailError(
                f"guardrails: {verdict['status']}: {'; '.join(_doubts(verdict))}; nothing was "
                "changed. To promote it all the same: --force --reason …"
            )
        return verdict

    return judge


def promote(
    state: State,
    *,
    model: str | None,
    version: str,
    reason: str,
    judge: Judge | None,
    dry_run: bool = False,
) -> Swap:
    """Make a version the champion: judged, then loaded by every worker, then committed, then served
    by every worker. Without a `judge` it is forced, which the history tells.

    Raises:
        UsageError: it is forced without a reason.
        UnknownVersionError, GuardrailError, MovedError, IntegrityError: nothing was moved.
        UnconfirmedError: it was moved, and a worker does not serve it.
    """
    if judge is None and not reason.strip():
        raise UsageError("--force skips the guardrails: say why with --reason")
    stored = store.find(state, version, model)
    manifest.read_verified(stored.folder, stored.digest)
    workers = Workers(state)
    if dry_run:
        return _judged(state, stored, reason, judge, workers, dry_run=True)
    busy = "another promote is at work; look at `python -m registry history` and try again"
    with exclusive(state.registry / ".promote.lock", busy=busy, seconds=_TURN_SECONDS):
        return _judged(state, stored, reason, judge, workers, dry_run=False)


def rollback(state: State, *, version: str | None, reason: str, dry_run: bool = False) -> Swap:
    """Go back to the last good champion, or to `version`: integrity is checked, nobody is asked.

    Raises:
        UnknownVersionError, UsageError, IntegrityError, MovedError: nothing was moved.
        UnconfirmedError: it was moved, and a worker does not serve it.
    """
    move = moves.rollback(state, version=version, reason=reason, dry_run=dry_run)
    return _confirmed(move, Workers(state))


def reasons(swap: Swap) -> list[str]:
    """What the guardrails found, a line a check."""
    verdict = swap.verdict or {}
    lines = [points(Check.from_dict(facts)) for facts in verdict.get("checks", ())]
    return [*lines, verdict["note"]] if verdict.get("note") else lines


def _judged(
    state: State,
    stored: store.Stored,
    reason: str,
    judge: Judge | None,
    workers: Workers,
    *,
    dry_run: bool,
) -> Swap:
    version = str(stored.version)
    before = pointer.last(state)
    if before is not None and _is(before, stored) and pointer.is_sound(state):
        move = Move("promote", stored.model, version, version, before.generation, before)
        return replace(_confirmed(move, workers), already=True)
    verdict = judge(before, stored) if judge is not None else {"status": "skipped", "forced": True}
    expected = before.generation if before is not None else 0
    commit = partial(
        moves.promote, state, model=stored.model, version=version, reason=reason, verdict=verdict
    )
    if dry_run:
        move = commit(dry_run=True)
        return replace(_confirmed(move, workers), verdict=verdict)
    if before is not None and pointer.is_sound(state):
        _prepare(state, stored, before, workers)
    move = commit(expected=expected)
    challenger.take_over(state, stored.model, version)
    return replace(_confirmed(move, workers), verdict=verdict)


def _doubts(verdict: Mapping[str, Any]) -> list[str]:
    """What does not pass, in words."""
    checks = [Check.from_dict(facts) for facts in verdict["checks"]]
    words = [points(check) for check in checks if check.status != "pass"]
    return [*words, verdict["note"]] if verdict["note"] else words


def _is(champion: Champion, stored: store.Stored) -> bool:
    named = (champion.model, champion.version, champion.digest)
    return named == (stored.model, str(stored.version), stored.digest)


def _prepare(state: State, stored: store.Stored, before: Champion, workers: Workers) -> None:
    """Have every worker load the version, and withdraw where one cannot.

    Raises:
        IntegrityError: a worker cannot load it, or did not say in time; nothing serves it.
        MovedError: somebody moved the champion meanwhile.
    """
    if not workers.alive():
        return
    asked = {"id": uuid4().hex, "model": stored.model, "version": str(stored.version)}
    try:
        with pointer.lock(state):
            pointer.announce(state, {**asked, "digest": stored.digest}, expected=before.generation)
        silent = workers.missing(
            lambda beat: _answered(beat, asked["id"]) or not _stands(state, before), PREPARE_SECONDS
        )
        if not _stands(state, before):
            raise pointer.moved(pointer.last(state) or before)
        problems = [
            f"{beat.name}: {beat.prepared.problem}"
            for beat in workers.alive()
            if beat.prepared is not None
            and beat.prepared.id == asked["id"]
            and beat.prepared.problem
        ]
        problems += [f"{beat.name}: no word in {PREPARE_SECONDS:g} s" for beat in silent]
        if problems:
            raise IntegrityError(
                f"{asked['version']} cannot serve, and nothing was changed: {'; '.join(problems)}"
            )
    except BaseException:
        # Whoever moved the champion meanwhile has withdrawn it already.
        with suppress(RegistryError), pointer.lock(state):
            pointer.announce(state, None, expected=before.generation)
        raise


def _stands(state: State, before: Champion) -> bool:
    """Whether the champion is still the one that the promote began with."""
    try:
        champion = pointer.read(state)
    except IntegrityError:
        return False
    return champion is not None and champion.generation == before.generation


def _answered(beat: Beat, asked: str) -> bool:
    return beat.prepared is not None and beat.prepared.id == asked


def _confirmed(move: Move, workers: Workers) -> Swap:
    """Wait until all workers serve what was moved to."""
    began = time.monotonic()
    alive = workers.alive()
    resident = sum(move.after in beat.resident for beat in alive)
    if move.champion is None:
        return Swap(move, len(alive), resident, 0.0)
    missing = workers.missing(
        lambda beat: (beat.generation or 0) >= move.generation, CONFIRM_SECONDS
    )
    seconds = time.monotonic() - began
    if missing:
        words = "; ".join(f"{beat.name}: {beat.problem or 'no word'}" for beat in missing)
        raise UnconfirmedError(
            f"{move.after} is the champion (generation {move.generation}), but {len(missing)} of "
            f"{len(workers.alive())} workers do not serve it after {CONFIRM_SECONDS:g} s: {words}"
        )
    return Swap(move, len(workers.alive()), resident, seconds)
