"""A process and everything below it, as /proc tells it: the CPU they used, and their end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_GRACE_SECONDS = 15.0
_SETTLE_SECONDS = 30.0
_WINDOW_SECONDS = 0.2
_IDLE_SHARE = 0.15
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class _Stat(NamedTuple):
    pid: int
    parent: int
    state: str
    ticks: int
    born: int


def cpu_seconds(root: int) -> float:
    """CPU seconds of a process tree so far, children that have ended included."""
    return sum(member.ticks for member in _tree(root)) / _TICKS


def settle(root: int) -> None:
    """Wait until a process tree is all but idle, so that no work of one run falls into the next:
    a server still scores the requests of connections that were closed."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    busy = True
    while busy and time.monotonic() < deadline:
        before = cpu_seconds(root)
        time.sleep(_WINDOW_SECONDS)
        busy = cpu_seconds(root) - before > _IDLE_SHARE * _WINDOW_SECONDS


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, wait, and kill what is left of its tree."""
    with _uninterrupted():
        tree = _tree(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        for member in filter(_lives, tree):
            with suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        while any(map(_lives, tree)):
            time.sleep(0.02)
        process.wait()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM: a second one must not leave a server behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tree(root: int) -> list[_Stat]:
    stats = [stat for path in Path("/proc").glob("[0-9]*") if (stat := _stat(int(path.name)))]
    tree = [stat for stat in stats if stat.pid == root]
    for member in tree:  # grows as it goes
        tree += [stat for stat in stats if stat.parent == member.pid]
    return tree


def _stat(pid: int) -> _Stat | None:
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the fields after it are those of proc(5).
    state, parent, *rest = content.rpartition(")")[2].split()
    return _Stat(
        pid=pid,
        parent=int(parent),
        state=state,
        ticks=sum(int(ticks) for ticks in rest[9:13]),
        born=int(rest[17]),
    )


def _lives(member: _Stat) -> bool:
    """Whether the very process still runs, not a later one with its number."""
    now = _stat(member.pid)
    return now is not None and now.born == member.born and now.state != "Z"
