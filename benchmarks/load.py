"""Load from wrk: requests that vary, and its summary as numbers."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
  local counts = {}
  for index = 1, #latency do
    counts[index] = string.format('[%d, %d]', latency(index))
  end
  io.write(string.format(
    '\\nRESULT {"requests": %d, "microseconds": %d, "failed": %d, "counts": [%s]}\\n',
    summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    table.concat(counts, ', ')))
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
    """What one run of wrk saw. `failed`: answers of 400 and above, socket errors, timeouts.
    `counts`: microseconds, and how many answers took them."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    counts: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Without the counts."""
        return {key: value for key, value in vars(self).items() if key != "counts"}


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


def answers(counts: Sequence[tuple[int, int]]) -> "NDArray[np.int64]":
    """What each answer took, in microseconds."""
    microseconds, repeats = np.array(counts, dtype=np.int64).reshape(-1, 2).T
    return np.repeat(microseconds, repeats)


def percentile_ms(microseconds: "NDArray[np.int64]", percent: float) -> float:
    """The nearest rank; 0 of none."""
    if not microseconds.size:
        return 0.0
    return float(np.percentile(microseconds, percent, method="inverted_cdf")) / 1000


def _parsed(result: str) -> Load:
    facts = json.loads(result)
    counts = tuple((microseconds, count) for microseconds, count in facts["counts"])
    took = answers(counts)
    p50, p95, p99 = (percentile_ms(took, percent) for percent in (50, 95, 99))
    return Load(
        requests=facts["requests"],
        seconds=facts["microseconds"] / 1e6,
        failed=facts["failed"],
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        counts=counts,
    )
