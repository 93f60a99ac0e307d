"""challenger.json: which version is scored in the shadow of the champion. Standard library only."""

import json
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from registry import moves, pointer, store
from registry.errors import IntegrityError, RegistryError, UsageError
from registry.state import State, replace_file, sync
from registry.versions import Version, check_model_name


@dataclass(frozen=True)
class Challenger:
    """One version in the shadow; `at` is UTC."""

    model: str
    version: str
    digest: str
    by: str
    at: str


def read(state: State) -> Challenger | None:
    """Who is in the shadow; None where nobody is.

    Raises:
        IntegrityError: the file stands there and says nothing of the kind.
    """
    try:
        content = state.challenger.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntegrityError(f"{state.challenger}: {error.strerror}") from error
    try:
        raw = json.loads(content)
        found = Challenger(**{key: raw[key] for key in ("model", "version", "digest", "by", "at")})
        if not all(isinstance(value, str) for value in vars(found).values()):
            raise TypeError
        check_model_name(found.model)
        Version.parse(found.version)
    except (ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
        raise IntegrityError(
            f"{state.challenger}: names no challenger; run `python -m registry shadow --off`"
        ) from error
    return found


def choose(state: State, *, model: str | None, version: str, dry_run: bool = False) -> Challenger:
    """Put a registered version into the shadow, in place of another one.

    Raises:
        UnknownVersionError, IntegrityError, MovedError: nothing is changed then.
        UsageError: it is the champion.
    """
    stored = store.find(state, version, model)
    digest = moves.verified(stored, pointer.events(state))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    chosen = Challenger(stored.model, version, digest, pointer.who(), now)
    with nullcontext() if dry_run else pointer.lock(state):
        champion = pointer.required(state)
        if (champion.model, champion.version) == (stored.model, version):
            raise UsageError(f"{version} is the champion; its challenger must be another version")
        if not dry_run:
            content = json.dumps({"schema": 1, **vars(chosen)}, indent=1, ensure_ascii=False)
            replace_file(state.challenger, (content + "\n").encode())
    return chosen


def dismiss(state: State) -> None:
    """Nobody is in the shadow any more."""
    with pointer.lock(state):
        _remove(state)


def take_over(state: State, model: str, version: str) -> None:
    """The version is the champion now: it needs no shadow any more."""
    if not state.challenger.exists():
        return
    with suppress(RegistryError, OSError), pointer.lock(state):  # the move is done all the same
        chosen = read(state)
        if chosen is not None and (chosen.model, chosen.version) == (model, version):
            _remove(state)


def _remove(state: State) -> None:
    state.challenger.unlink(missing_ok=True)
    sync(state.registry)
