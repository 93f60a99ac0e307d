"""A benchmark as a person runs it, with and without wrk in reach."""

import subprocess
import sys
from pathlib import Path

from registry.state import PROJECT

PATH = "/usr/local/bin:/usr/bin:/bin"
NEEDS_WRK = "error: wrk is not installed: apt-get install wrk\n"


def run(
    module: str, *arguments: str | Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """`python -m benchmarks.MODULE`, which sees the `environment` and nothing else."""
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=580,
    )
