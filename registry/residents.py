"""The versions that a worker holds in memory, so that changing between them is one assignment."""

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from registry import store
from registry.challenger import Challenger
from registry.pointer import Champion
from registry.state import State

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion


class Key(NamedTuple):
    """One version; two may hold the same bytes, and so have one digest."""

    model: str
    version: str
    digest: str

    @classmethod
    def of(cls, named: Champion | Challenger) -> "Key":
        return cls(named.model, named.version, named.digest)


class Residents:
    """Loaded versions. Any thread may ask; two that want the same one load it once, and
    nobody waits for the load of another one."""

    def __init__(self, state: State, *, max_rows: int) -> None:
        self._state = state
        self._max_rows = max_rows
        self._loaded: dict[Key, LoadedVersion] = {}
        self._loading: dict[Key, threading.Lock] = {}
        self._guard = threading.Lock()
        self._serving: Key | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        with self._guard:
            return tuple(sorted({loaded.version for loaded in self._loaded.values()}))

    def serve(self, key: Key) -> "LoadedVersion":
        """As `load`, of what serves from now on, which `keep` never lets go."""
        with self._guard:
            self._serving = key
        return self.load(key)

    def load(self, key: Key) -> "LoadedVersion":
        """The version from memory, else from disk, verified and warm.

        Raises:
            UnknownVersionError, IntegrityError: it cannot serve.
        """
        with self._guard:
            turn = self._loading.setdefault(key, threading.Lock())
        with turn:
            with self._guard:
                known = self._loaded.get(key)
            if known is not None:
                return known
            # scikit-learn takes seconds to import, and BentoML's parent process never needs it.
            from registry.loaded import load

            folder = store.get(self._state, key.model, key.version).folder
            loaded = load(folder, key.version, key.digest, self._max_rows)
            with self._guard:
                self._loaded[key] = loaded
            return loaded

    def keep(self, keys: Collection[Key]) -> None:
        """Let go of all others, but for what serves."""
        with self._guard:
            for held in (self._loaded, self._loading):
                for key in held.keys() - set(keys) - {self._serving}:
                    held.pop(key)
