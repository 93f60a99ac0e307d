"""Moving the champion where services run: every worker is ready before a promote commits, and every
worker serves the new generation before a command says that it is done.

The commit itself is one file (see registry.pointer); this is what stands around it. A rollback
waits for nobody before it commits, and a promote holds no lock that a rollback needs. Standard
library only, but for the guardrails, which a promote imports when it gets to them.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from registry import challenger, moves, pointer, store
from registry.errors import GuardrailError, UsageError
from registry.heartbeat import Workers
from registry.moves import Move
from registry.phases import confirmed, prepared, told_when_done
from registry.pointer import Champion
from registry.state import State, exclusive
from registry.verdict import Check, points

Judge = Callable[[Champion | None, store.Stored], Mapping[str, Any]]
"""What says of a challenger whether it may replace the champion, and raises GuardrailError where it
may not."""

_TURN_SECONDS = 10.0


@dataclass(frozen=True)
class Swap:
    """A move and how the workers that are alive took it: `seconds` from before the commit until the
    last of them served it, 0 where nothing was moved. `resident` of them have it in memory."""

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
    moves.verified(stored, pointer.events(state))
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
    workers = Workers(state)
    began = time.monotonic()
    with told_when_done(state):
        move = moves.rollback(state, version=version, reason=reason, dry_run=dry_run)
        return _settled(state, move, workers, began)


def reasons(swap: Swap) -> list[str]:
    """What the guardrails found, a line a check; none where they were not asked."""
    return [] if swap.verdict is None else _findings(swap.verdict, {"pass", "fail", "undecided"})


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
    sound = before is not None and pointer.is_sound(state)
    if before is not None and sound and _is(before, stored):
        move = Move("promote", stored.model, version, version, before.generation, before)
        return replace(_settled(state, move, workers, time.monotonic()), already=True)
    verdict = judge(before, stored) if judge is not None else {"status": "skipped", "forced": True}
    commit = partial(
        moves.promote, state, model=stored.model, version=version, reason=reason, verdict=verdict
    )
    if dry_run:
        return replace(_settled(state, commit(dry_run=True), workers, 0), verdict=verdict)
    ready = prepared(state, stored, before, workers) if before and sound else nullcontext()
    with told_when_done(state):
        with ready:
            began = time.monotonic()
            move = commit(expected=before.generation if before is not None else 0)
        return replace(_settled(state, move, workers, began), verdict=verdict)


def _settled(state: State, move: Move, workers: Workers, began: float) -> Swap:
    """Wait until all workers serve what was moved to; a champion then needs no shadow."""
    if move.champion is None:
        alive = workers.alive()
        return Swap(move, len(alive), sum(move.after in beat.resident for beat in alive), 0.0)
    served = confirmed(state, move, workers)
    seconds = time.monotonic() - began
    challenger.take_over(state, move.model, move.after)
    return Swap(move, served, served, seconds)


def _findings(verdict: Mapping[str, Any], statuses: Collection[str]) -> list[str]:
    """The checks of these statuses in words, then the verdict's own note."""
    checks = [Check.from_dict(facts) for facts in verdict.get("checks", ())]
    words = [points(check) for check in checks if check.status in statuses]
    return [*words, verdict["note"]] if verdict.get("note") else words


def _is(champion: Champion, stored: store.Stored) -> bool:
    named = (champion.model, champion.version, champion.digest)
    return named == (stored.model, str(stored.version), stored.digest)
