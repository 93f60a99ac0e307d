"""The worker's side of a swap: which version this process serves, and the watch on the pointer.

A version is loaded and has reproduced its golden scores before one assignment makes it serve; if it
cannot be loaded, the one that serves goes on, and `problem` says why. One thread follows the
pointer, another one loads what may be wanted next, so that a rollback never waits for a promote
being prepared, and a third one says every second that the worker is alive.
"""

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import heartbeat, pointer
from registry.background import Background
from registry.errors import IntegrityError, RegistryError
from registry.residents import Key, Residents
from registry.state import State

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

logger = logging.getLogger("bentoml.datathon")

_RETRY_SECONDS = 5.0
_END_SECONDS = 1.0


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
    """Holds what serves in this process and follows the pointer; `on_swap` is told the seconds
    that each change of what serves took, and `on_beat` may look every second."""

    def __init__(
        self,
        state: State,
        *,
        max_rows: int,
        on_swap: Callable[[float], None] = lambda _: None,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.serving: Serving | None = None
        self.problem: str | None = "no version was loaded yet"
        self.started = time.monotonic()
        self._state = state
        self._baked: Baked | None = None
        self._max_rows = max_rows
        self._on_swap = on_swap
        self._on_beat = on_beat
        self._seen: tuple[int, ...] | None = None
        self._retry_at = 0.0
        self._residents = Residents(state, max_rows=max_rows)
        self._background = Background(state, self._residents, self.beat)
        self._stopped = threading.Event()
        self._beating = threading.Lock()
        self._unheard: str | None = None
        self._deaf: set[type[Exception]] = set()
        self._threads: list[threading.Thread] = []

    @property
    def challenger(self) -> "LoadedVersion | None":
        """The version to score in the shadow, once it is loaded."""
        return self._background.challenger

    def start(self, baked: Baked | None, *, poll_seconds: float) -> None:
        """Load what the pointer names, or what is baked in where there is no pointer; then follow
        the pointer until `stop`."""
        self._baked = baked
        self.refresh()
        # What a version holds never becomes garbage while it serves; keep the collector off it.
        gc.collect()
        gc.freeze()
        heartbeat.sweep(self._state, heartbeat.clock(self._state)())
        self.beat()
        for name, work in (
            ("follow", lambda: self._follow_pointer(poll_seconds)),
            ("prepare", lambda: self._background.run(self._stopped)),
            ("heartbeat", self._keep_beating),
        ):
            self._threads.append(
                threading.Thread(target=work, name=f"registry-{name}", daemon=True)
            )
            self._threads[-1].start()

    def stop(self) -> None:
        """End the threads and take the heartbeat away."""
        self._stopped.set()
        self._background.wake()
        for thread in self._threads:
            thread.join(_END_SECONDS)
        with self._beating:
            heartbeat.remove(self._state, heartbeat.Beat.of_this_process())

    def refresh(self) -> None:
        """Look at the pointer and change over if it moved. Loads in the calling thread."""
        self._seen = self._signature()
        before, began = self.serving, time.monotonic()
        champion = None
        try:
            champion, lost = self._champion()
            self._follow(champion, lost)
        except (RegistryError, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # the version that serves must go on whatever a new one does
            logger.exception("a version could not be loaded")
            self._fail(f"unexpected {type(error).__name__} while loading; see the log")
        now = self.serving
        if before is not None and now is not None and before.generation != now.generation:
            self._tell(lambda: self._on_swap(time.monotonic() - began))
        # Who cannot serve the champion must still get ready for the next one, and for the shadow.
        self._background.want(champion)

    def beat(self) -> None:
        """Say that this worker is alive and how it stands."""
        with self._beating:
            if self._stopped.is_set():
                return
            try:
                heartbeat.write(self._state, self._beat())
            except OSError as error:
                problem = f"no heartbeat in {self._state.workers}: {error.strerror}"
                if problem != self._unheard:
                    logger.warning("%s; commands cannot see this worker", problem)
                self._unheard = problem
        self._tell(self._on_beat)

    def _tell(self, listener: Callable[[], None]) -> None:
        """Whatever who listens does, this thread must go on: it follows the pointer, or beats."""
        try:
            listener()
        except Exception as error:
            if type(error) not in self._deaf:
                logger.exception("what shows how this worker stands failed")
            self._deaf.add(type(error))

    def _beat(self) -> heartbeat.Beat:
        serving, challenger = self.serving, self.challenger
        return replace(
            heartbeat.Beat.of_this_process(),
            version=serving.loaded.version if serving else None,
            generation=serving.generation if serving else None,
            resident=self._residents.versions,
            prepared=self._background.prepared,
            challenger=challenger.version if challenger else None,
            problem=self.problem,
        )

    def _keep_beating(self) -> None:
        while not self._stopped.wait(heartbeat.PERIOD_SECONDS):
            self.beat()

    def _follow_pointer(self, poll_seconds: float) -> None:
        while not self._stopped.wait(poll_seconds):
            retry = self.problem is not None and time.monotonic() >= self._retry_at
            if retry or self._signature() != self._seen:
                self.refresh()
                self.beat()

    def _signature(self) -> tuple[int, ...]:
        """Of the pointer and of who is in the shadow. Opened, as only that asks a shared file
        system for what another host wrote."""
        found: tuple[int, ...] = ()
        for path in (self._state.champion, self._state.challenger):
            try:
                with path.open("rb") as stream:
                    facts = os.fstat(stream.fileno())
            except OSError:
                found += (0, 0, 0)
            else:
                found += (facts.st_mtime_ns, facts.st_ino, facts.st_size)
        return found

    def _champion(self) -> tuple[pointer.Champion | None, str | None]:
        """The champion; where not the pointer but only the history tells who it was, also why.

        Raises:
            IntegrityError: the pointer is damaged, and nothing else tells.
        """
        problem: str | IntegrityError = f"{self._state.champion} is gone"
        try:
            champion = pointer.read(self._state)
        except IntegrityError as error:
            champion, problem = None, error
        if champion is not None:
            return champion, None
        last = pointer.last(self._state)
        if last is None and not self._follows:
            if isinstance(problem, IntegrityError):
                raise problem
            return None, None
        return last, str(problem)

    def _follow(self, champion: pointer.Champion | None, lost: str | None) -> None:
        if champion is None and not self._follows:
            self._serve_baked()
            return
        if champion is not None and not (lost and self._follows):
            loaded = self._residents.serve(Key.of(champion))
            self._serve(Serving(loaded, champion.generation, champion.event))
        if lost is not None and self.serving is not None:
            self._fail(f"{lost}; {self.serving.loaded.version} goes on")

    @property
    def _follows(self) -> bool:
        """Whether what serves is a champion, and not a Bento's own model."""
        return self.serving is not None and self.serving.generation > 0

    def _serve_baked(self) -> None:
        if self._baked is None:
            self._fail("no champion yet; run `python -m registry promote --version vX.Y.Z`")
            return
        if self.serving is None:
            self._serve(Serving(self._load_baked(self._baked), 0, {}))
        self.problem = None

    def _load_baked(self, baked: Baked) -> "LoadedVersion":
        from registry.loaded import load

        return load(baked.folder, baked.version, None, self._max_rows)

    def _serve(self, serving: Serving) -> None:
        changed = self.serving is None or self.serving.generation != serving.generation
        self.serving = serving
        self.problem = None
        if changed:
            logger.info("serving %s, generation %d", serving.loaded.version, serving.generation)

    def _fail(self, reason: str) -> None:
        if reason != self.problem:
            logger.error("%s", reason)
        self.problem = reason
        self._retry_at = time.monotonic() + _RETRY_SECONDS
