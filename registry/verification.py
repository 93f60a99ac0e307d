"""`verify`: every manifest, the pointer and the history's chain; repairs what can be derived: the
history from the pointer, a pointer that is gone, damaged or older from the history. A damaged one
without any history is set aside."""

from contextlib import suppress
from dataclasses import dataclass

from registry import history, manifest, moves, pointer, store
from registry.errors import IntegrityError, MovedError, RegistryError, UnknownVersionError
from registry.phases import turn
from registry.state import State


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; `problem` is None where it is sound."""

    what: str
    problem: str | None

    def __str__(self) -> str:
        return self.what if self.problem is None else f"{self.what}: {self.problem}"

    def to_dict(self) -> dict[str, str | None]:
        return {"what": self.what, "problem": self.problem}


def verify(state: State, model: str | None) -> list[Finding]:
    """Check everything. The history is repaired where the pointer is ahead of it, and the pointer
    where it is lost or behind and the history's chain holds."""
    digests = history.digests(pointer.events(state))
    findings = [
        _version(state, stored, digests.get((name, str(stored.version))))
        for name in store.models(state, model)
        for stored in store.versions(state, name)
    ]
    with pointer.lock(state):
        findings += _mended(state)
        events = pointer.repair(state)
        with suppress(MovedError, IntegrityError), turn(state, seconds=0):
            pointer.withdraw(state)  # of a promote that was killed
        findings += [_history(state, events), *_target(state, events), _pointer(state)]
    return findings


def _mended(state: State) -> list[Finding]:
    """What was done about the pointer; the caller holds the lock."""
    known = history.read(state)
    if history.broken_links(known):
        return []
    if known:
        words = f"{state.champion} was lost or older: written anew from the history"
        return [Finding(words, None)] if pointer.restore(state) is not None else []
    aside = pointer.set_aside(state)
    words = f"{state.champion} was damaged, and there is no history: it is {aside} now"
    return [] if aside is None else [Finding(f"{words}; promote a version", None)]


def _version(state: State, stored: store.Stored, digest: str | None) -> Finding:
    """`digest` is what it had as champion, where it was."""
    what = f"{stored.model}:{stored.version}"
    try:
        manifest.read_verified(stored.folder, digest)
    except IntegrityError as error:
        return Finding(what, str(error))
    has_bento = (state.bentos / str(stored.version) / "bento.yaml").exists()
    return Finding(what, None if has_bento else f"its Bento is missing from {state.bentos}")


def _history(state: State, events: list[history.Event]) -> Finding:
    what = f"history of {len(events)} move(s)"
    broken = history.broken_links(events)
    if broken:
        return Finding(what, f"the chain breaks at generation {', '.join(map(str, broken))}")
    try:
        champion = pointer.read(state)
    except IntegrityError:  # `_pointer` says so
        return Finding(what, None)
    # Nothing follows the last line, so that only the pointer tells whether it was changed.
    last = [] if champion is None else [history.entry(champion.raw)]
    return Finding(
        what, None if events[-1:] == last else "its last move is not the one of champion.json"
    )


def _target(state: State, events: list[history.Event]) -> list[Finding]:
    """That a rollback has where to go; nothing where it does, or nobody was champion before."""
    if len(history.good_champions(events)) < 2:
        return []
    try:
        moves.previous(state, events)
    except UnknownVersionError as error:
        return [Finding("rollback", str(error))]
    return []


def _pointer(state: State) -> Finding:
    try:
        champion = pointer.read(state)
        if champion is None:
            return Finding("champion: none yet", None)
        stored = store.get(state, champion.model, champion.version)
        manifest.read_verified(stored.folder, champion.digest)
    except RegistryError as error:
        return Finding("champion", str(error))
    return Finding(f"champion {champion.version}, generation {champion.generation}", None)
