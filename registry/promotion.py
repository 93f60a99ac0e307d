"""Moving the champion where services run: every worker is ready before a promote commits, and every
worker serves the new generation before a command says that it is done.

The commit itself is one file (see registry.pointer); this is what stands around it. A rollback
waits for nobody before it commits, and a promote holds no lock that a rollback needs. Standard
library only, but for the guardrails, which a promote imports when it gets to them.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from registry import challenger, moves, pointer, store
from registry.errors import GuardrailError, UsageError
from registry.heartbeat import Beat, Workers
from registry.moves import Move
from registry.phases import TURN_SECONDS, confirmed, prepared, told_when_done, turn
from registry.pointer import Champion
from registry.state import State
from registry.verdict import Check, points

Judge = Callable[[Champion | None, store.Stored], Mapping[str, Any]]
"""What says of a challenger whether it may replace the champion, and raises GuardrailError where it
may not."""


@dataclass(frozen=True)
class Swap:
    """A move and how the workers that are alive took it: `seconds` from before the commit until the
    last of them served it, 0 where nothing was moved. `resident` of them had it in memory
    before."""

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
            doubts = _findings(verdict, {"fail", "undecided"})
            raise GuardrailError(
                f"guardrails: {verdict['status']}: {'; '.join(doubts)}; nothing was "
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
    digest = moves.verified(stored, pointer.events(state))
    if dry_run:
        return _planned(state, stored, reason, judge)
    with turn(state, seconds=TURN_SECONDS):
        with pointer.lock(state):  # the workers hear what is asked through a pointer that stands
            pointer.restore(state)
            pointer.withdraw(state)
        return _promoted(state, stored, digest, reason, judge)


def rollback(state: State, *, version: str | None, reason: str, dry_run: bool = False) -> Swap:
    """Go back to the last good champion, or to `version`: integrity is checked, nobody is asked.

    Raises:
        UnknownVersionError, UsageError, IntegrityError, MovedError: nothing was moved.
        UnconfirmedError: it was moved, and a worker does not serve it.
    """
    workers = Workers(state)
    known = workers.known()
    began = time.monotonic()
    with told_when_done(state, action="rollback", reason=reason):
        move = moves.rollback(state, version=version, reason=reason, dry_run=dry_run)
        if dry_run:
            return Swap(move, len(workers.alive()), _resident(move, workers.alive()), 0.0)
        return _settled(state, move, workers, known, began)


def reasons(swap: Swap) -> list[str]:
    """What the guardrails found, a line a check; none where they were not asked."""
    return [] if swap.verdict is None else _findings(swap.verdict, {"pass", "fail", "undecided"})


def _planned(state: State, stored: store.Stored, reason: str, judge: Judge | None) -> Swap:
    """What a promote would do."""
    before, alive = pointer.last(state), Workers(state).alive()
    version = str(stored.version)
    if before is not None and _is(before, stored):
        move = Move("promote", before.model, version, version, before.generation, None)
        return Swap(move, len(alive), _resident(move, alive), 0.0, already=True)
    verdict = _verdict(judge, before, stored)
    move = moves.promote(state, model=stored.model, version=version, reason=reason, dry_run=True)
    return Swap(move, len(alive), _resident(move, alive), 0.0, verdict)


def _promoted(
    state: State, stored: store.Stored, digest: str, reason: str, judge: Judge | None
) -> Swap:
    workers, version = Workers(state), str(stored.version)
    before = pointer.read(state)
    if before is not None and _is(before, stored):
        move = Move("promote", before.model, version, version, before.generation, before)
        settled = _settled(state, move, workers, workers.alive(), time.monotonic())
        return replace(settled, already=True)
    verdict = _verdict(judge, before, stored)
    with told_when_done(state, action="promote", reason=reason):
        with _ready(state, stored, digest, before, workers) as asked:
            known = _also(asked, workers.known())
            began = time.monotonic()
            move = moves.promote(
                state,
                model=stored.model,
                version=version,
                reason=reason,
                verdict=verdict,
                expected=before.generation if before is not None else 0,
                judged=digest,
            )
        return replace(_settled(state, move, workers, known, began), verdict=verdict)


def _ready(
    state: State, stored: store.Stored, digest: str, before: Champion | None, workers: Workers
) -> AbstractContextManager[Sequence[Beat]]:
    """Yields who was alive before. Where there is no pointer yet by which workers could be asked,
    this process tries."""
    if before is not None:
        return prepared(state, stored, before, workers)
    alive = workers.alive()
    if alive:
        from registry.loaded import try_out  # scikit-learn: seconds

        try_out(stored.folder, str(stored.version), digest)
    return nullcontext(alive)


def _also(before: Sequence[Beat], now: Sequence[Beat]) -> list[Beat]:
    """Who is known now, and who was before."""
    there = {beat.process for beat in now}
    return [*now, *(beat for beat in before if beat.process not in there)]


def _verdict(
    judge: Judge | None, champion: Champion | None, stored: store.Stored
) -> Mapping[str, Any]:
    return {"status": "skipped", "forced": True} if judge is None else judge(champion, stored)


def _settled(
    state: State, move: Move, workers: Workers, known: Sequence[Beat], began: float
) -> Swap:
    """Wait until all workers, of which these were known before, serve what was moved to; a
    champion then needs no shadow."""
    resident = _resident(move, known)
    try:
        served = confirmed(state, move, workers, known)
        seconds = time.monotonic() - began
    finally:
        challenger.take_over(state, move.model, move.after)
    return Swap(move, served, resident, seconds)


def _resident(move: Move, known: Sequence[Beat]) -> int:
    return sum(move.after in beat.resident for beat in known if not beat.is_gone())


def _findings(verdict: Mapping[str, Any], statuses: Collection[str]) -> list[str]:
    """The checks of these statuses in words, then the verdict's own note."""
    checks = [Check.from_dict(facts) for facts in verdict.get("checks", ())]
    words = [points(check) for check in checks if check.status in statuses]
    return [*words, verdict["note"]] if verdict.get("note") else words


def _is(champion: Champion, stored: store.Stored) -> bool:
    named = (champion.model, champion.version, champion.digest)
    return named == (stored.model, str(stored.version), stored.digest)
