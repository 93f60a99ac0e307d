"""The workers' last signs of life, where any worker of the server can tell their age.

Ages and not times: the clocks of the service and of whoever watches it need not agree. They are
counted by a clock that nobody sets, and that all processes of one machine share.
"""

import os
import struct
import time
from pathlib import Path

_SECONDS = struct.Struct("d")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # this server's own, in memory where there is any


def keep(worker: int, seen: float) -> None:
    """Write down when a worker was last alive, of time.monotonic(); who takes a dead worker's place
    takes its file."""
    handle = os.open(_folder() / f"beat-{worker}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(handle, _SECONDS.pack(seen))
    finally:
        os.close(handle)


def ages() -> dict[str, float]:
    """Seconds since then, by the worker's number."""
    now, found = time.monotonic(), {}
    for path in sorted(_folder().glob("beat-*")):
        content = path.read_bytes()
        if len(content) == _SECONDS.size:  # else it was made a moment ago
            found[path.name.removeprefix("beat-")] = max(now - _SECONDS.unpack(content)[0], 0.0)
    return found


def _folder() -> Path:
    return Path(os.environ[_FOLDER])
