"""The scratch service: a real `bentoml serve`, which a drill starts, harms, restarts and ends."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitoring.drills import processes
from monitoring.drills.errors import DrillError
from monitoring.watching.ports import free_port
from registry.processes import is_alive
from registry.state import PROJECT

HOST = "127.0.0.1"
_READY_SECONDS = 90.0
_END_SECONDS = 20.0
_POLL_SECONDS = 0.02
_WORKER = b"_bentoml_impl.worker.service"


class Service:
    """`bentoml serve .` from entering the block to leaving it; `log` is the file it prints to."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.port = free_port()
        self.log = log
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DrillError: it ended instead, or is not ready in time.
        """
        bentoml = Path(sys.executable).parent / "bentoml"
        command = [str(bentoml), "serve", ".", "--host", HOST, "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it as Ctrl-C does; what is left after a while is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        family = [process.pid, *processes.descendants(process.pid)]
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        processes.end([pid for pid in family if is_alive(pid)], _END_SECONDS)

    def workers(self) -> list[int]:
        """The pids of the processes that score, stopped ones too."""
        assert self._process is not None
        found = []
        for pid in processes.descendants(self._process.pid):
            try:
                if _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes() and is_alive(pid):
                    found.append(pid)
            except OSError:  # it ended meanwhile
                continue
        return found

    def health(self) -> dict[str, Any] | None:
        """What /health says, by whichever worker answers; None where nobody does."""
        answered = self._get("/health")
        return None if answered is None else dict(json.loads(answered[1]))

    def _wait_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _READY_SECONDS
        while (answered := self._get("/readyz")) is None or answered[0] != 200:
            if self._process.poll() is not None:
                raise DrillError(f"the service ended: {self._last_line()}")
            if time.monotonic() > deadline:
                raise DrillError(f"not ready after {_READY_SECONDS:g} s: {self._last_line()}")
            time.sleep(_POLL_SECONDS)

    def _get(self, path: str) -> tuple[int, bytes] | None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
