"""Who is in the shadow, and who may not be."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registry import challenger, pointer
from registry.errors import UsageError
from registry.state import State
from tests.registry.handmade import MODEL, promote, tree_sha256


def test_a_version_that_is_promoted_meanwhile_is_not_put_into_its_own_shadow(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(state, "v1.0.0")
    lock = pointer.lock

    @contextmanager
    def promoted_before(state: State) -> Iterator[None]:
        monkeypatch.setattr(pointer, "lock", lock)
        promote(state, "v1.1.0")
        with lock(state):
            yield

    monkeypatch.setattr(pointer, "lock", promoted_before)
    with pytest.raises(UsageError, match=r"v1\.1\.0 is the champion"):
        challenger.choose(state, model=None, version="v1.1.0")
    assert not state.challenger.exists()


def test_a_dry_run_takes_no_lock_and_writes_nothing(state: State) -> None:
    promote(state, "v1.0.0")
    before = tree_sha256(state.home)
    with pointer.lock(state):
        chosen = challenger.choose(state, model=None, version="v1.1.0", dry_run=True)
    assert (chosen.model, chosen.version) == (MODEL, "v1.1.0")
    with pytest.raises(UsageError):
        challenger.choose(state, model=None, version="v1.0.0", dry_run=True)
    assert tree_sha256(state.home) == before
