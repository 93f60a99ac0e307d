"""Loading what a worker may have to serve next: the version that a promote prepares, the one that a
rollback would go back to, and the challenger."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from registry import challenger, history, pointer
from registry.errors import RegistryError
from registry.heartbeat import Prepared
from registry.pointer import Champion
from registry.residents import Key, Residents
from registry.state import State

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

logger = logging.getLogger("bentoml.datathon")

_RETRY_SECONDS = 5.0
_FORESEEN = (RegistryError, OSError)


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
        self._problems: dict[str, str] = {}  # what could not be loaded, by purpose
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
        """Work until `stopped`; what could not be loaded is tried again every few seconds."""
        while not stopped.is_set():
            asked = self._awake.wait(_RETRY_SECONDS if self._problems else None)
            self._awake.clear()
            if stopped.is_set() or self._champion is None:
                continue
            failed = set(self._problems)
            try:
                self._get_ready(self._champion)
                if asked or failed != set(self._problems):
                    self._settle()
            except Exception:  # this thread must be there for the next promote, whatever happened
                logger.exception("cannot get ready for what may serve next")

    def _get_ready(self, champion: Champion) -> None:
        wanted = {Key.of(champion), self._left, self._asked_for(champion)}
        wanted.add(self._loaded("cannot roll back to", self._previous))
        challenging = self._loaded("cannot shadow with", lambda: self._challenging(champion))
        self.challenger = None if challenging is None else self._residents.load(challenging)
        self._residents.keep({key for key in wanted | {challenging} if key is not None})

    def _settle(self) -> None:
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
            problem = self._problem_with(key)
            self.prepared = Prepared(asked["id"], problem, round(time.monotonic() - began, 3))
            self._beat()
        return key if self.prepared.problem is None else None

    def _problem_with(self, key: Key) -> str | None:
        """Why a version cannot be loaded, which is logged; None where it is in memory now."""
        try:
            self._residents.load(key)
        except Exception as error:  # a version must not end the thread that loads the next one
            problem = _words(error)
            logger.error("cannot prepare %s: %s", key.version, problem, exc_info=_trace(error))
            return problem
        return None

    def _challenging(self, champion: Champion) -> Key | None:
        """Who is to be scored in the shadow; a champion that has taken over is not."""
        chosen = challenger.read(self._state)
        key = None if chosen is None else Key.of(chosen)
        return None if key == Key.of(champion) else key

    def _previous(self) -> Key | None:
        """What a rollback would go back to."""
        events = pointer.events(self._state)
        good = history.good_champions(events)
        return Key(*good[-2], history.digests(events)[good[-2]]) if len(good) > 1 else None

    def _loaded(self, purpose: str, find: Callable[[], Key | None]) -> Key | None:
        """Load what `find` names; None where it names nothing, or that cannot be loaded: `run`
        then tries again, and the log says so once for each reason."""
        key = None
        try:
            key = find()
            if key is not None:
                self._residents.load(key)
        except Exception as error:  # one that cannot be loaded must not keep the others out
            problem = f"{purpose} {'any' if key is None else key.version}: {_words(error)}"
            if problem != self._problems.get(purpose):
                logger.error("%s", problem, exc_info=_trace(error))
            self._problems[purpose] = problem
            return None
        self._problems.pop(purpose, None)
        return key


def _words(error: Exception) -> str:
    if isinstance(error, _FORESEEN):
        return str(error)
    return f"unexpected {type(error).__name__} while loading; see the worker's log"


def _trace(error: Exception) -> Exception | None:
    """What to log beside the words: nothing where they say it all."""
    return None if isinstance(error, _FORESEEN) else error
