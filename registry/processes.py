"""Whether a process of this host has ended. Standard library only."""

from pathlib import Path

_ENDED = ("Z", "X")  # proc_pid_stat(5): a zombie, and who is about to vanish


def is_alive(pid: int) -> bool:
    """Whether it runs or is stopped. One that was killed and whose parent has not noticed, a
    zombie, does neither."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return True  # somebody else's, and not for us to read
    # The name stands between brackets and may hold any character, these too.
    return facts.rpartition(")")[2].split()[0] not in _ENDED
