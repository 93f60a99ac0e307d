"""Heartbeats: which workers are alive on whichever host, and what each serves and has prepared.

A worker replaces one small file of its own every second and at each change; who has not for three
seconds is dead, by the clock of the file system, so that hosts need not agree on the time. Standard
library only.
"""

import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.processes import up_seconds
from registry.state import State, hand_over, make_folder

PERIOD_SECONDS = 1.0
EXPIRES_SECONDS = 3.0
_FORGOTTEN_SECONDS = 60.0
_TOLERANCE_SECONDS = 1.0
_LAST_PID = 2**22  # of Linux on 64 bits
_NOT_A_BEAT = (OSError, ValueError, KeyError, TypeError, RecursionError)


@dataclass(frozen=True)
class Prepared:
    """What came of loading the version that a promote asked for; `problem` is None where it can
    serve."""

    id: str
    problem: str | None
    seconds: float

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Prepared":
        """Raises TypeError or KeyError for anything else."""
        return cls(
            id=_a(content["id"], str),
            problem=_a(content["problem"], str, None),
            seconds=_a(content["seconds"], float, int),
        )


@dataclass(frozen=True)
class Beat:
    """One worker. `namespace` is where its pid counts; `resident` are the versions that it can
    change to at once; `challenger` is the one that it scores in the shadow."""

    host: str
    namespace: str
    pid: int
    version: str | None = None
    generation: int | None = None
    resident: tuple[str, ...] = ()
    prepared: Prepared | None = None
    challenger: str | None = None
    problem: str | None = None

    @classmethod
    def of_this_process(cls) -> "Beat":
        return cls(socket.gethostname(), _namespace(), os.getpid())

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Beat":
        """Raises TypeError, ValueError or KeyError for anything but a heartbeat; what a later
        release adds is passed over."""
        prepared = _a(content["prepared"], dict, None)
        beat = cls(
            host=_a(content["host"], str),
            namespace=_a(content["namespace"], str),
            pid=_a(content["pid"], int),
            version=_a(content["version"], str, None),
            generation=_a(content["generation"], int, None),
            resident=tuple(_a(version, str) for version in _a(content["resident"], list)),
            prepared=None if prepared is None else Prepared.from_dict(prepared),
            challenger=_a(content["challenger"], str, None),
            problem=_a(content["problem"], str, None),
        )
        if not 0 < beat.pid <= _LAST_PID:
            raise ValueError(f"no process has the number {beat.pid}")
        return beat

    @property
    def name(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def process(self) -> tuple[str, str, int]:
        """Which process it is, among those of all hosts and containers."""
        return self.host, self.namespace, self.pid

    @property
    def is_here(self) -> bool:
        """Whether its pid is one of this host, and of this container."""
        return (self.host, self.namespace) == (socket.gethostname(), _namespace())

    def is_gone(self, age: float = 0.0) -> bool:
        """Whether the process is known to have ended, without waiting for it to expire. Whoever
        began to run after the beat was written, `age` seconds ago, only has its number."""
        if not self.is_here:
            return False
        up = up_seconds(self.pid)
        return up is None or up + _TOLERANCE_SECONDS < age


class Workers:
    """Whoever has a heartbeat now."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._now = clock(state)

    def alive(self) -> list[Beat]:
        """The workers that are alive, by name."""
        return self._heard(lambda beat, age: age < EXPIRES_SECONDS and not beat.is_gone(age))

    def silent(self) -> list[Beat]:
        """Whoever expired without having ended, as far as this host can know, by name."""
        return self._heard(lambda beat, age: age >= EXPIRES_SECONDS and not beat.is_gone(age))

    def ended(self) -> list[Beat]:
        """Whoever crashed or was killed in the last minute, as far as this host can know, by name:
        who ends as asked takes its heartbeat away."""
        return self._heard(lambda beat, age: age < _FORGOTTEN_SECONDS and beat.is_gone(age))

    def known(self) -> list[Beat]:
        """Whoever is alive, crashed lately, or hangs on this host: of whom a move can tell how they
        took it. One that is silent elsewhere may have lost its power long ago."""

        def can_tell(beat: Beat, age: float) -> bool:
            if beat.is_gone(age):
                return age < _FORGOTTEN_SECONDS
            return beat.is_here or age < EXPIRES_SECONDS

        return self._heard(can_tell)

    def _heard(self, wanted: Callable[[Beat, float], bool]) -> list[Beat]:
        now = self._now()
        found = [beat for beat, at in written(self._state) if wanted(beat, now - at)]
        return sorted(found, key=lambda beat: (beat.host, beat.pid))

    def missing(
        self,
        ready: Callable[[Beat], bool],
        seconds: float,
        *,
        over: Callable[[], bool] = lambda: False,
        poll_seconds: float = 0.005,
    ) -> list[Beat]:
        """Wait until all that are alive are ready, or it is `over`; those that are not by then or
        after `seconds`."""
        deadline = time.monotonic() + seconds
        while missing := [beat for beat in self.alive() if not ready(beat)]:
            if time.monotonic() > deadline or over():
                return missing
            time.sleep(poll_seconds)
        return []


def write(state: State, beat: Beat) -> None:
    """Replace the worker's file, so that a reader sees the old beat or the new one. Not forced to
    disk: after a power cut no worker is alive.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = _path(state, beat)
    make_folder(path.parent)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(beat)), encoding="utf-8")
    hand_over(temporary)
    temporary.replace(path)


def remove(state: State, beat: Beat) -> None:
    """Say that the worker ended."""
    with suppress(OSError):
        _path(state, beat).unlink(missing_ok=True)


def clock(state: State) -> Callable[[], float]:
    """The time as the state's file system tells it, seconds since 1970; this host's own where the
    state cannot be written to."""
    try:
        with tempfile.TemporaryFile(dir=state.registry) as probe:
            probe.write(b"?")
            probe.flush()
            offset = os.fstat(probe.fileno()).st_mtime - time.monotonic()
    except OSError:
        offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


def written(state: State) -> list[tuple[Beat, float]]:
    """Every heartbeat there is, with the time at which the file system says that it was written;
    what is none is passed over.

    Raises:
        OSError: their folder cannot be read.
    """
    found = []
    for path in _files(state):
        with suppress(*_NOT_A_BEAT), path.open("rb") as stream:
            at = os.fstat(stream.fileno()).st_mtime
            found.append((Beat.from_dict(json.load(stream)), at))
    return found


def sweep(state: State, now: float) -> None:
    """Remove what workers that were killed left behind; one that hangs stays known."""
    with suppress(OSError):  # who may not look there leaves it to others
        for path in (*_files(state), *_files(state, ".tmp")):
            with suppress(OSError):
                age = now - path.stat().st_mtime
                if age > _FORGOTTEN_SECONDS and not _is_there(path, age):
                    path.unlink()


def _is_there(path: Path, age: float) -> bool:
    """Whether it is the heartbeat of a process that this host has."""
    try:
        beat = Beat.from_dict(json.loads(path.read_bytes()))
    except _NOT_A_BEAT:
        return False
    return beat.is_here and not beat.is_gone(age)


def _a(value: Any, *kinds: type | None) -> Any:
    """The value, if it is of one of these types; JSON's true is no number."""
    if not any(value is None if kind is None else type(value) is kind for kind in kinds):
        raise TypeError(f"{value!r} is not of {kinds}")
    return value


def _files(state: State, ending: str = ".json") -> list[Path]:
    """Raises OSError where the folder is there and cannot be read: nobody may take that for a
    service that does not run, as a glob would."""
    try:
        return sorted(path for path in state.workers.iterdir() if path.suffix == ending)
    except FileNotFoundError:
        return []


def _path(state: State, beat: Beat) -> Path:
    place = re.sub(r"[^A-Za-z0-9.-]", "_", f"{beat.host}-{beat.namespace}")
    return state.workers / f"{place}-{beat.pid}.json"


def _namespace() -> str:
    """Two containers may have one host name and the same pids."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
