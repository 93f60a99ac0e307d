"""The worker's side of a swap: which version this process serves, and the watch on the pointer.

A version is loaded and has reproduced its golden scores before one assignment makes it serve; if it
cannot be loaded, the one that serves goes on, and `problem` says why.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import pointer, store
from registry.errors import RegistryError
from registry.state import State

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

logger = logging.getLogger("bentoml.datathon")

_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Serving:
    """What answers are made of, replaced as a whole; generation 0 is a Bento's own model."""

    loaded: "LoadedVersion"
    generation: int
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Baked:
    """The model that travels inside a Bento."""

    folder: Path
    version: str


class Worker:
    """Holds what serves in this process and follows the pointer; `on_swap` is told each new
    generation."""

    def __init__(
        self, state: State, *, max_rows: int, on_swap: Callable[[int], None] = lambda _: None
    ) -> None:
        self.serving: Serving | None = None
        self.problem: str | None = "no version was loaded yet"
        self.started = time.monotonic()
        self._state = state
        self._baked: Baked | None = None
        self._max_rows = max_rows
        self._on_swap = on_swap
        self._seen: tuple[int, ...] | None = None
        self._retry_at = 0.0

    def start(self, baked: Baked | None) -> None:
        """Load what the pointer names, or what is baked in where there is no pointer."""
        self._baked = baked
        self.refresh()

    def refresh(self) -> None:
        """Look at the pointer and change over if it moved. Loads in the calling thread."""
        self._seen = self._signature()
        try:
            self._follow()
        except (RegistryError, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # the version that serves must go on whatever a new one does
            logger.exception("a version could not be loaded")
            self._fail(f"unexpected {type(error).__name__} while loading; see the log")

    async def watch(self, poll_seconds: float) -> None:
        """Follow the pointer until cancelled: a stat a poll, a load when it moved."""
        while True:
            await asyncio.sleep(poll_seconds)
            retry = self.problem is not None and time.monotonic() >= self._retry_at
            if retry or self._signature() != self._seen:
                await asyncio.to_thread(self.refresh)

    def _signature(self) -> tuple[int, ...] | None:
        try:
            found = self._state.champion.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    def _follow(self) -> None:
        champion = pointer.read(self._state)
        if champion is None:
            self._serve_without_pointer()
            return
        current = self.serving.loaded if self.serving is not None else None
        wanted = (champion.version, champion.digest)
        if current is not None and (current.version, current.digest) == wanted:
            loaded = current
        else:
            loaded = self._load(champion)
        self._serve(Serving(loaded, champion.generation, champion.event))

    def _load(self, champion: pointer.Champion) -> "LoadedVersion":
        stored = store.get(self._state, champion.model, champion.version)
        return self._read(stored.folder, champion.version, champion.digest)

    def _read(self, folder: Path, version: str, digest: str | None) -> "LoadedVersion":
        # scikit-learn takes seconds to import, and BentoML's parent process never needs it.
        from registry.loaded import load

        return load(folder, version, digest, self._max_rows)

    def _serve_without_pointer(self) -> None:
        if self.serving is not None and self.serving.generation > 0:
            self._fail(f"{self._state.champion} is gone; the version in memory goes on")
        elif self._baked is not None:
            if self.serving is None:
                loaded = self._read(self._baked.folder, self._baked.version, None)
                self._serve(Serving(loaded, 0, {}))
            self.problem = None
        else:
            self._fail("no champion yet; run `python -m registry promote --version vX.Y.Z`")

    def _serve(self, serving: Serving) -> None:
        changed = self.serving is None or self.serving.generation != serving.generation
        self.serving = serving
        self.problem = None
        # What a version holds never becomes garbage while it serves; keep the collector off it.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        if changed:
            self._on_swap(serving.generation)
            logger.info("serving %s, generation %d", serving.loaded.version, serving.generation)

    def _fail(self, reason: str) -> None:
        if reason != self.problem:
            logger.error("%s", reason)
        self.problem = reason
        self._retry_at = time.monotonic() + _RETRY_SECONDS
