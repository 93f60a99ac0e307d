"""Load from wrk: requests that vary, and its summary as numbers."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError

_SCRIPT = """\
local requests = {}
local turn = 0

function init(arguments)
  local headers = {["Content-Type"] = "application/json"}
  for body in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", "/predict", headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests": %d, "microseconds": %d, "failed": %d, "percentiles": [%d, %d, %d]}\\n',
    summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""
_MARK = "RESULT "
_ANSWER_SECONDS = 30


def is_installed() -> bool:
    """Whether wrk, and what puts it on a core, are here; one line says what is missing."""
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            print(f"error: {tool} is not installed: apt-get install {package}", file=sys.stderr)
            return False
    return True


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw. `failed`: answers of 400 and above, socket errors, timeouts."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Generator:
    """wrk on one core, with its script and the bodies in a folder."""

    folder: Path
    core: int

    def keep(self, name: str, bodies: Sequence[bytes]) -> None:
        """Write bodies (JSON without a line break) under a name; requests rotate over them."""
        (self.folder / "predict.lua").write_text(_SCRIPT)
        (self.folder / name).write_bytes(b"".join(body + b"\n" for body in bodies))

    def run(self, address: str, bodies: str, *, connections: int, seconds: int) -> Load:
        """Load POST /predict for `seconds`, with one request under way in each connection.

        Raises:
            BenchmarkError: wrk could not run.
        """
        command = ["taskset", "--cpu-list", str(self.core)]
        command += ["wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{seconds}s", "--timeout", f"{_ANSWER_SECONDS}s"]
        command += ["--script", str(self.folder / "predict.lua"), address]
        command += ["--", str(self.folder / bodies)]
        done = subprocess.run(command, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
        if done.returncode != 0 or len(lines) != 1:
            raise BenchmarkError(f"wrk failed: {(done.stderr or done.stdout).strip()[-500:]}")
        return _parsed(lines[0].removeprefix(_MARK))


def _parsed(result: str) -> Load:
    facts = json.loads(result)
    p50, p95, p99 = (microseconds / 1000 for microseconds in facts["percentiles"])
    return Load(
        requests=facts["requests"],
        seconds=facts["microseconds"] / 1e6,
        failed=facts["failed"],
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )
