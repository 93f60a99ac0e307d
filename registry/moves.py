"""Promote and rollback: exact version, integrity, then the pointer. Standard library only."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry import history, manifest, pointer, store
from registry.errors import IntegrityError, MovedError, UnknownVersionError, UsageError
from registry.pointer import Champion
from registry.state import State

_SAME_INCIDENT = timedelta(minutes=1)


@dataclass(frozen=True)
class Move:
    """What a command did, or with `--dry-run` would do; `champion` is None until it is done."""

    action: str
    model: str
    before: str | None
    after: str
    generation: int
    champion: Champion | None

    def to_dict(self) -> Mapping[str, Any]:
        return {
            "action": self.action,
            "model": self.model,
            "from": self.before,
            "to": self.after,
            "generation": self.generation,
            "done": self.champion is not None,
        }


def promote(
    state: State,
    *,
    model: str | None,
    version: str,
    reason: str,
    verdict: Mapping[str, Any] | None = None,
    expected: int | None = None,
    judged: str | None = None,
    dry_run: bool = False,
) -> Move:
    """Make a registered version the champion; `verdict` is what allows it, `expected` the
    generation that it was given for, and `judged` the digest.

    Raises:
        UnknownVersionError, IntegrityError, MovedError: the pointer is not touched then.
    """
    stored = store.find(state, version, model)
    with nullcontext() if dry_run else pointer.lock(state):
        events = pointer.events(state)
        digest = verified(stored, events)
        if judged not in (None, digest):
            raise IntegrityError(f"{stored.folder} was replaced meanwhile; nothing was changed")
        if dry_run:
            return _planned("promote", stored, events)
        return _commit(state, "promote", stored, digest, reason, verdict, expected)


def rollback(state: State, *, version: str | None, reason: str, dry_run: bool = False) -> Move:
    """Go back to the newest champion of the history that was not itself rolled away from, or to
    `version`.

    Raises:
        UnknownVersionError: there is no champion, none before it, or `version` never was one.
        UsageError: `version` is what serves already.
        IntegrityError, MovedError: the pointer is not touched then.
    """
    with nullcontext() if dry_run else pointer.lock(state):
        events = pointer.events(state)
        if not events:
            raise UnknownVersionError("nothing was ever promoted, so there is nothing to roll back")
        if version is None:
            _refuse_another(events)
            model, target = previous(state, events)
        else:
            model, target = events[-1]["model"], version
        if (model, target) == (events[-1]["model"], events[-1]["to"]):
            raise UsageError(f"{target} is what serves already; choose another --version")
        stored = store.get(state, model, target)
        if (model, target) not in history.digests(events):
            raise UnknownVersionError(
                f"{target} was never champion, so there is no going back to it; promote it, or "
                "choose another --version (see `python -m registry history`)"
            )
        digest = verified(stored, events)
        if dry_run:
            return _planned("rollback", stored, events)
        return _commit(state, "rollback", stored, digest, reason)


def previous(state: State, events: Sequence[history.Event]) -> tuple[str, str]:
    """Whom a rollback without a version goes to: model and version.

    Raises:
        UnknownVersionError: there was no good champion before, or the store has it not.
    """
    good = history.good_champions(events)
    if len(good) < 2:
        raise UnknownVersionError(
            f"no earlier good champion than {good[-1][1]}; choose one with --version "
            "(see `python -m registry list`)"
        )
    stored = [name for name in good[:-1] if (state.models / name[0] / name[1]).is_dir()]
    if good[-2] not in stored:
        words = f"the last good champion, {good[-2][1]}, is not in the model store; "
        raise UnknownVersionError(
            words + f"the one before it that is: --version {stored[-1][1]}"
            if stored
            else words + "no earlier one is: put it back from a copy, or promote another version"
        )
    return good[-2]


def verified(stored: store.Stored, events: Sequence[history.Event]) -> str:
    """The digest of a version whose bytes are those that were registered and, where it was champion
    in one of the `events`, those that served then.

    Raises:
        IntegrityError: they are not.
    """
    name = (stored.model, str(stored.version))
    digest = history.digests(events).get(name, stored.digest)
    manifest.read_verified(stored.folder, digest)
    return digest


def _refuse_another(events: Sequence[history.Event]) -> None:
    """Two people who roll back at the same time mean the same version, and not two steps back."""
    last, who = events[-1], pointer.who()
    age = datetime.now(UTC) - datetime.fromisoformat(last["at"])
    if last["action"] == "rollback" and last["by"] != who and abs(age) < _SAME_INCIDENT:
        raise MovedError(
            f"{last['by']} rolled back to {last['to']} {age.total_seconds():.0f} s ago "
            f"({last['reason']}): nothing was changed; to go back further, name the --version"
        )


def _planned(action: str, stored: store.Stored, events: Sequence[history.Event]) -> Move:
    """What would be done."""
    before, generation = (events[-1]["to"], events[-1]["generation"]) if events else (None, 0)
    return Move(action, stored.model, before, str(stored.version), generation + 1, None)


def _commit(
    state: State,
    action: str,
    stored: store.Stored,
    digest: str,
    reason: str,
    verdict: Mapping[str, Any] | None = None,
    expected: int | None = None,
) -> Move:
    version = str(stored.version)
    champion = pointer.move(
        state,
        action=action,
        model=stored.model,
        version=version,
        digest=digest,
        reason=reason,
        verdict=verdict,
        expected=expected,
    )
    left = champion.event["from"]
    return Move(action, stored.model, left, version, champion.generation, champion)
