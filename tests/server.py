"""A real `bentoml serve` process on a free port of 127.0.0.1, stopped with the test."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from monitoring.watching.ports import free_port

PROJECT = Path(__file__).resolve().parent.parent
READY_SECONDS = 90.0
_CTRL_CS, _HEARD_SECONDS = 3, 15.0


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The environment of a command whose state lives under `home`."""
    return os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"} | extra


def command(
    home: Path, *arguments: str | Path, check: bool = True, **extra: str
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m arguments` to its end; with `check`, a non-zero exit code fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=PROJECT,
        env=environment(home, **extra),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def configured(
    folder: Path, *, workers: int = 1, poll_ms: int = 50, **changes: Mapping[str, Any]
) -> str:
    """The product's configuration.yaml with other numbers, and other settings by their section."""
    content = yaml.safe_load((PROJECT / "configuration.yaml").read_text(encoding="utf-8"))
    content["bentoml"]["workers"] = workers
    content["serving"]["poll_ms"] = poll_ms
    for section, settings in changes.items():
        content[section] |= settings
    path = folder / "configuration.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


def bentoml_tags(home: Path, *arguments: str) -> set[str]:
    """The tags that `bentoml ... list` prints."""
    done = subprocess.run(
        [Path(sys.executable).parent / "bentoml", *arguments, "-o", "json"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return {entry["tag"] for entry in listed}


class Script:
    """A `python -c` over `home` that answers each line with a line, until the end of the block."""

    def __init__(self, code: str, home: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=PROJECT,
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=60)

    def tell(self, order: object) -> str:
        """Send an order as JSON and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.line()

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Server:
    """`bentoml serve TARGET` over `home`; `client` talks to it, `log` is what it printed."""

    def __init__(
        self, home: Path, *, target: str = ".", wait: str = "/readyz", **extra: str
    ) -> None:
        self.home = home
        self.port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self._log_path = home / f"serve-{self.port}.log"
        self._wait = wait
        bentoml = Path(sys.executable).parent / "bentoml"
        self._command = [str(bentoml), "serve", target, "--host", "127.0.0.1"]
        self._command += ["--port", str(self.port)]
        self._environment = environment(home, **extra)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=PROJECT, env=self._environment, stdout=log, stderr=log
            )
        try:
            wait_for(self.answers, READY_SECONDS, lambda: f"not ready:\n{self.log}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self.stop()

    @property
    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Stop it as Ctrl-C does and return its exit code. Again where it is not heard: circus,
        which runs BentoML's workers, drops a signal that comes while it replaces a dead worker."""
        assert self.process is not None
        for _ in range(_CTRL_CS):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(_HEARD_SECONDS)
        return self.process.wait(0)

    def workers(self) -> list[int]:
        """The pids of the processes that score."""
        assert self.process is not None
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        workers = []
        for pid in found.split():
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"_bentoml_impl.worker.service" in words:
                workers.append(int(pid))
        return workers

    def predict(self, rows: Sequence[dict[str, Any]], **headers: str) -> httpx.Response:
        return self.client.post("/predict", json={"instances": list(rows)}, headers=headers)

    def health(self) -> dict[str, Any]:
        return dict(self.client.get("/health").json())

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ended early:\n{self.log}"
        try:
            return self.client.get(self._wait).status_code in (200, 503)
        except httpx.TransportError:
            return False


def wait_for(condition: Any, seconds: float, explain: Any = lambda: "not in time") -> None:
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)
