"""Whether a process of this host has ended, and how long it has run. Standard library only."""

import os
import time
from pathlib import Path

_ENDED = ("Z", "X")  # proc_pid_stat(5): a zombie, and who is about to vanish
_STATE, _STARTED = 0, 19  # counted from what follows the name
_TICKS = os.sysconf("SC_CLK_TCK")


def is_alive(pid: int) -> bool:
    """Whether it runs or is stopped. One that was killed and whose parent has not noticed, a
    zombie, does neither."""
    return up_seconds(pid) is not None


def up_seconds(pid: int) -> float | None:
    """How long it has run; None where it ended, infinity where that is not for us to read."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return float("inf")
    # The name stands between brackets and may hold any character, these too.
    fields = facts.rpartition(")")[2].split()
    if fields[_STATE] in _ENDED:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTED]) / _TICKS
