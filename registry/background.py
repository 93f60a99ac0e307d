"""Loading what a worker may have to serve next: the version that a promote prepares, the one that a
rollback would go back to, and the challenger."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from registry import challenger, history, pointer
from registry.errors import IntegrityError, RegistryError
from registry.heartbeat import Prepared
from registry.pointer import Champion
from registry.residents import Key, Residents
from registry.state import State

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

logger = logging.getLogger("bentoml.datathon")


class Background:
    """Loads in a thread of its own and tells `beat` of what a command may wait for."""

    def __init__(self, state: State, residents: Residents, beat: Callable[[], None]) -> None:
        self.prepared: Prepared | None = None
        self.challenger: LoadedVersion | None = None
        self._state = state
        self._residents = residents
        self._beat = beat
        self._champion: Champion | None = None
        self._left: Key | None = None
        self._awake = threading.Event()

    def want(self, champion: Champion | None) -> None:
        """Get ready for what may come after `champion`; None leaves it who it was."""
        before = self._champion
        if champion is not None:
            if before is not None and Key.of(before) != Key.of(champion):
                self._left = Key.of(before)
            self._champion = champion
        self._awake.set()

    def wake(self) -> None:
        """Let `run` see that it is over."""
        self._awake.set()

    def run(self, stopped: threading.Event) -> None:
        """Work until `stopped`."""
        while self._awake.wait() and not stopped.is_set():
            self._awake.clear()
            try:
                if self._champion is not None:
                    self._get_ready(self._champion)
            except Exception:  # this thread must be there for the next promote, whatever happened
                logger.exception("cannot get ready for what may serve next")

    def _get_ready(self, champion: Champion) -> None:
        wanted = {Key.of(champion), self._left, self._asked_for(champion)}
        wanted |= {self._challenging(champion), self._previous()}
        self._residents.keep({key for key in wanted if key is not None})
        # What a version holds never becomes garbage while it is here: keep the collector off it.
        # The garbage of loading it goes first, milliseconds of work among what is not frozen yet.
        gc.collect()
        gc.freeze()
        self._beat()

    def _asked_for(self, champion: Champion) -> Key | None:
        """Load what a promote waits for, once, and say what came of it."""
        asked = champion.prepare
        if asked is None:
            return None
        key = Key(asked["model"], asked["version"], asked["digest"])
        if self.prepared is None or self.prepared.id != asked["id"]:
            began = time.monotonic()
            problem = self._problem_with(key, "cannot prepare")
            self.prepared = Prepared(asked["id"], problem, round(time.monotonic() - began, 3))
            self._beat()
        return key if self.prepared.problem is None else None

    def _challenging(self, champion: Champion) -> Key | None:
        """Load who is to be scored in the shadow; a champion that has taken over is not."""
        try:
            chosen = challenger.read(self._state)
        except IntegrityError as error:
            logger.error("%s", error)
            chosen = None
        key = None if chosen is None else Key.of(chosen)
        if key == Key.of(champion) or (key and self._problem_with(key, "cannot shadow with")):
            key = None
        self.challenger = None if key is None else self._residents.load(key)
        return key

    def _previous(self) -> Key | None:
        """Load what a rollback would go back to."""
        events = pointer.events(self._state)
        good = history.good_champions(events)
        if len(good) < 2:
            return None
        key = Key(*good[-2], history.digests(events)[good[-2]])
        return None if self._problem_with(key, "cannot roll back to") else key

    def _problem_with(self, key: Key, purpose: str) -> str | None:
        """Why a version cannot be loaded, which is logged with its purpose; None where it is in
        memory now."""
        try:
            self._residents.load(key)
            return None
        except (RegistryError, OSError) as error:
            problem = str(error)
        except Exception as error:  # a version must not end the thread that loads the next one
            logger.exception("a version could not be loaded")
            problem = f"unexpected {type(error).__name__} while loading; see the worker's log"
        logger.error("%s %s: %s", purpose, key.version, problem)
        return problem
