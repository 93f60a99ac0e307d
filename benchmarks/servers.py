"""The two services, each in processes of its own on one core."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.errors import BenchmarkError
from monitoring.log.writing import SECRET_VARIABLE
from monitoring.watching.ports import free_port
from registry.state import PROJECT, State

OURS, THEIRS = "datathon-api", "FastAPI"
UNCOUNTED = "datathon-api without metrics"
_READY_SECONDS = 120.0
_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True)
class Server:
    """A service that answers at `address`; `pid` is the root of its processes."""

    name: str
    address: str
    pid: int

    def predict(self, body: bytes) -> list[dict[str, Any]]:
        """The answers to one body.

        Raises:
            BenchmarkError: anything but 200.
        """
        request = urllib.request.Request(
            f"{self.address}/predict", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answers: list[dict[str, Any]] = json.load(response)
        except urllib.error.HTTPError as error:
            raise BenchmarkError(f"{self.name} answers {error.code} to valid rows") from error
        except OSError as error:
            raise BenchmarkError(f"{self.name} does not answer: {error}") from error
        return answers


@contextmanager
def started(name: str, state: State, *, core: int) -> Iterator[Server]:
    """Start one of the services with `state`'s champion on one core; it ends with the block.

    Raises:
        BenchmarkError: it ended, or was not ready in time; the message holds the end of its output.
    """
    port = free_port()
    log = state.home / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *_command(name, port)],
            cwd=PROJECT,
            env=_environment(state),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C is the benchmark's to handle
        )
    try:
        server = Server(name, f"http://127.0.0.1:{port}", process.pid)
        if not _becomes_ready(server, process):
            shown = log.read_text(errors="replace")[-_SHOWN_CHARACTERS:]
            raise BenchmarkError(f"{name} did not become ready:\n{shown}")
        yield server
    finally:
        processes.stop(process)


def _command(name: str, port: int) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port)]
    targets = {OURS: ".", UNCOUNTED: "benchmarks.uncounted:DatathonApi"}
    if name in targets:
        return [str(Path(sys.executable).parent / "bentoml"), "serve", targets[name], *where]
    quiet = ["--no-access-log", "--log-level", "warning"]
    app = ["--factory", "benchmarks.baseline:application"]
    return [sys.executable, "-m", "uvicorn", *app, *where, *quiet]


def _environment(state: State) -> dict[str, str]:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(threads, "1"),
        "BENTOML_HOME": str(state.home),
        "BENTOML_DO_NOT_TRACK": "True",
        SECRET_VARIABLE: "benchmark",  # so that hashing who a row is about is measured too
    }


def _becomes_ready(server: Server, process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.address}/readyz", timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
    return False
