"""Prometheus and Alertmanager as processes of ours: found, started, waited for, ended.

They get a session of their own, so that Ctrl-C on a terminal reaches only us, and we end them.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from registry.errors import RegistryError

INSTALL = "apt-get install prometheus prometheus-alertmanager"
_READY_SECONDS = 30.0
_END_SECONDS = 20.0
_POLL_SECONDS = 0.05
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy


class MissingBinaryError(RegistryError):
    """What is started is not installed."""


class WatchError(RegistryError):
    """Prometheus or Alertmanager does not run, or does not answer."""


def find(*names: str) -> str:
    """The first of the names that is installed, as a path.

    Raises:
        MissingBinaryError: none is.
    """
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    raise MissingBinaryError(f"no {names[0]} on this machine; install: {INSTALL}")


def fetch(url: str, *, seconds: float = 10.0) -> bytes:
    """What a URL answers.

    Raises:
        WatchError: nobody answers, or not with 200.
    """
    try:
        with _DIRECT.open(url, timeout=seconds) as response:
            return bytes(response.read())
    except (OSError, ValueError) as error:
        raise WatchError(f"{url.partition('?')[0]}: {error}") from error


def fetch_json(url: str) -> Any:
    return json.loads(fetch(url))


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for what comes soon after a start.

    Raises:
        WatchError: it has not come in time.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise WatchError(f"{otherwise} after {_READY_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


class Binary:
    """One process, from `start` to `end`; what it prints goes to a file."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        self._name = name
        self._command = [str(word) for word in command]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready_url: str) -> None:
        """Start it and wait until `ready_url` answers 200.

        Raises:
            WatchError: it ended instead, or is not ready in time; the message has its last line.
        """
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_ready(ready_url)
        except BaseException:
            self.end()
            raise

    def check(self) -> None:
        """Raises WatchError where it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise WatchError(f"{self._name} ended: {self._last_line()}")

    def reload(self) -> None:
        """Have it read its configuration again."""
        self.check()
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """Ask it to end and wait for that; one that does not is killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_ready(self, url: str) -> None:
        def ready() -> bool:
            self.check()
            with contextlib.suppress(WatchError):
                fetch(url, seconds=2)
                return True
            return False

        wait_until(ready, f"{self._name} is not ready; see {self._log};")

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
