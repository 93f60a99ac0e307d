"""Keeps the background reports fresh: runs `python -m monitoring.refresh` from time to time, in a
process of its own, so that no request waits for it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time

from monitoring import metrics
from monitoring.logs import LOGGER
from registry.errors import MovedError
from registry.state import PROJECT

_FIRST_SECONDS = 60.0
_AFTER_SWAP_SECONDS = 30.0
_LEAST_SHARE = 10
"""A refresh takes at most one second in so many."""
_POLL_SECONDS = 0.2
_FINE = (0, MovedError.exit_code)
"""Made, or somebody else is making them."""
_STOPPED = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL, 130)
"""With the service, or by a person."""
_DENIED = 8
"""This user may read the state and not write reports: no failure, others may make them."""
_OWN_METRICS = "PROMETHEUS_MULTIPROC_DIR"


class Reporter:
    """One thread in one worker of a server; several servers on one state do not repeat each
    other's work, as a refresh passes over what is fresh."""

    def __init__(self, refresh_seconds: float) -> None:
        self._seconds = refresh_seconds
        self._due = 0.0
        self._hastened = False
        self._told: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin, unless the reports are turned off."""
        if self._seconds > 0:
            self._due = time.monotonic() + min(self._seconds, _FIRST_SECONDS)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def hasten(self) -> None:
        """The champion moved: what the reports say is about another version."""
        self._hastened = True
        self._due = min(self._due, time.monotonic() + min(self._seconds, _AFTER_SWAP_SECONDS))

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            if time.monotonic() >= self._due:
                self._hastened = False
                began = time.monotonic()
                self._refresh()
                taken = time.monotonic() - began
                self._due = time.monotonic() + max(self._seconds, taken * (_LEAST_SHARE - 1))
                if self._hastened:  # the champion moved while the reports were made
                    self.hasten()

    def _refresh(self) -> None:
        # Its gauges go into a file of its own, not among the workers'.
        environment = {key: value for key, value in os.environ.items() if key != _OWN_METRICS}
        command = [sys.executable, "-m", "monitoring.refresh"]
        try:
            process = subprocess.Popen(
                [*command, "--max-age", str(self._seconds / 2)],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            self._tell(str(error))
            return
        said = _end_of(process, self._stopped)
        if process.returncode == _DENIED:
            self._say(logging.WARNING, f"none are made here: {said}")
        elif process.returncode not in _STOPPED:
            fine = process.returncode in _FINE
            self._tell(None if fine else said or f"exit {process.returncode}")

    def _tell(self, problem: str | None) -> None:
        if problem is None:
            self._told = None
            return
        metrics.REFRESH_FAILURES.inc()
        self._say(logging.ERROR, problem)

    def _say(self, level: int, words: str) -> None:
        """Once, until it is over or something else."""
        if words != self._told:
            LOGGER.log(level, "background reports: %s", words)
        self._told = words


def _end_of(process: "subprocess.Popen[str]", stopped: threading.Event) -> str:
    """The last line of what it said on stderr, once it has ended; it ends with the service."""
    while True:
        try:
            _, said = process.communicate(timeout=_POLL_SECONDS)
            return said.strip().rpartition("\n")[2]
        except subprocess.TimeoutExpired:
            if stopped.is_set():
                process.kill()
