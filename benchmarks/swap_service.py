"""The service that is switched and restarted: two workers, on one port for good, so that the load
finds it again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks import processes
from benchmarks.errors import BenchmarkError
from benchmarks.servers import OURS, Server
from registry.configuration import file_in_force
from registry.state import PROJECT, State

WORKERS = 2
_READY_SECONDS = 120.0


class Service:
    """`bentoml serve` over a home; `server` is how to reach it."""

    def __init__(self, state: State, *, port: int) -> None:
        self._state = state
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> Server:
        assert self._process is not None
        return Server(OURS, f"http://127.0.0.1:{self._port}", self._process.pid)

    def start(self, body: bytes) -> None:
        """Start it and wait until it answers `body`.

        Raises:
            BenchmarkError: it ended, or did not answer in time.
        """
        bentoml = str(Path(sys.executable).parent / "bentoml")
        log = self._state.home / "service.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [bentoml, "serve", ".", "--host", "127.0.0.1", "--port", str(self._port)],
                cwd=PROJECT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is the benchmark's to handle
            )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self.server.predict(body)
                return
            except BenchmarkError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise BenchmarkError(f"the service did not start: {error}") from error
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self._process is not None:
            processes.stop(self._process)

    def _environment(self) -> dict[str, str]:
        content = yaml.safe_load(file_in_force().read_text(encoding="utf-8"))
        content["bentoml"] = {**(content.get("bentoml") or {}), "workers": WORKERS}
        path = self._state.home / "configuration.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return {
            **os.environ,
            "BENTOML_HOME": str(self._state.home),
            "BENTOML_DO_NOT_TRACK": "True",
            "DATATHON_CONFIGURATION": str(path),
        }


@contextmanager
def served(state: State, body: bytes, *, port: int) -> Iterator[Service]:
    """A service that answers `body`, until the end of the block."""
    service = Service(state, port=port)
    try:
        service.start(body)
        yield service
    finally:
        service.stop()
