"""What one command costs: CPU seconds and peak memory of the whole process, as the kernel counts.

This file is also the command's parent, run by `python -I -S`: a process inherits the peak memory
of whoever started it, so that must be somebody small.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_SHOWN_CHARACTERS = 2000


class Usage(NamedTuple):
    """`cpu_seconds` are user and system time, `rss_mb` the peak resident set in 10^6 bytes."""

    cpu_seconds: float
    seconds: float
    rss_mb: float


class CommandError(Exception):
    """A measured command failed; the message holds the end of what it said."""


def measured(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    good: Collection[int] = (0,),
) -> tuple[Usage, str]:
    """Run a command; its costs, and what it printed on stdout.

    Raises:
        CommandError: its exit code is not among the `good` ones.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *map(str, command)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is the benchmark's to handle
    )
    try:
        output, errors = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    words, _, facts = errors.rstrip("\n").rpartition("\n")
    if process.returncode not in good:
        said = (words or errors or output).strip()[-_SHOWN_CHARACTERS:]
        name = " ".join(map(str, command[:3]))
        raise CommandError(f"{name} ended with exit code {process.returncode}: {said}")
    return Usage(**json.loads(facts)), output


def _main(command: list[str]) -> int:
    """Run the command, and print its costs as the last line of stderr."""
    began = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    facts = {
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "seconds": time.monotonic() - began,
        "rss_mb": used.ru_maxrss * 1024 / 1e6,
    }
    print(f"\n{json.dumps(facts)}", file=sys.stderr)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
