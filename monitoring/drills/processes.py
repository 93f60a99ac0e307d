"""Nothing that a drill started outlives it: a stop comes once and cleans up, and what loses its
parent on the way becomes our own child, to be ended by its id."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from registry.processes import is_alive

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SET_CHILD_SUBREAPER = 36  # prctl(2)
_END_SECONDS = 5.0
_POLL_SECONDS = 0.02


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, the first Ctrl-C or SIGTERM raises KeyboardInterrupt and later ones do nothing:
    cleaning up must not be cut off."""
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def adopting() -> Iterator[None]:
    """Within it, orphans of our children become ours (a killed worker may leave a report that is
    being made); at its end, whatever was started meanwhile and still runs is ended."""
    libc = ctypes.CDLL(None)
    before = set(descendants(os.getpid()))
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _end(before)
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end(pids: Collection[int], seconds: float) -> None:
    """Ask processes to end, stopped ones too, and kill those that do not in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            send(pid, number)
            send(pid, signal.SIGCONT)
        deadline = time.monotonic() + seconds
        while any(is_alive(pid) for pid in pids):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)


def _end(spared: Collection[int]) -> None:
    """Of what this process started, all but those."""
    while left := [pid for pid in descendants(os.getpid()) if pid not in spared]:
        end(left, _END_SECONDS)
        for pid in left:
            with contextlib.suppress(ChildProcessError):  # a grandchild, or waited for already
                os.waitpid(pid, os.WNOHANG)


def _stop(number: int, frame: FrameType | None) -> None:
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt
