"""A service whose champion is switched by the commands that a person types."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.server import PROJECT, Server, command, environment, wait_for
from tests.service.rows import cohort_rows

MODEL = "defasagem-risk"
OLD, NEW, OTHER, CRAFTED = "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"
EXPIRES_SECONDS = 3.0
SPARE_SECONDS = 2.0


class Service:
    """A running service of two workers and the home that it serves from."""

    def __init__(self, home: Path, server: Server) -> None:
        self.home = home
        self.server = server

    @property
    def pointer(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.home / "registry/champion.json").read_text())
        return content

    @property
    def beats(self) -> list[dict[str, Any]]:
        paths = (self.home / "registry/workers").glob("*.json")
        return [json.loads(path.read_text()) for path in paths]

    def folder(self, version: str) -> Path:
        return self.home / "models" / MODEL / version

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return command(self.home, "registry", *arguments, check=check)

    def promote(self, version: str) -> None:
        self.run(*promotion(version))

    def rollback(self) -> tuple[dict[str, Any], float]:
        """The command's JSON, and the wall time that it took."""
        began = time.monotonic()
        done = self.run("rollback", "--reason", "drill", "--json")
        return json.loads(done.stdout), time.monotonic() - began

    def assert_rolls_back_without(self, pid: int) -> None:
        """A rollback with a worker that stands still: committed, in time, and it is named."""
        began = time.monotonic()
        done = self.run("rollback", "--reason", "drill", check=False)
        assert time.monotonic() - began < EXPIRES_SECONDS + SPARE_SECONDS
        assert done.returncode == 7, done.stdout
        assert "1 of 2 workers do not serve it" in done.stderr
        assert f":{pid}: no sign of life for 3 s" in done.stderr
        assert self.pointer["version"] == OLD

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "registry", *arguments],
            cwd=PROJECT,
            env=environment(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, version: str) -> "subprocess.Popen[str]":
        """A promote that has asked the workers to prepare and waits for one of them."""
        process = self.start(*promotion(version))
        self.wait_with_all(
            lambda: self.pointer["prepare"] is not None or process.poll() is not None
        )
        assert process.poll() is None, process.communicate()
        return process

    def wait_with_all(self, condition: Callable[[], bool]) -> None:
        """Meanwhile no worker that stands still expires, however slow the machine is."""

        def kept_alive() -> bool:
            for path in (self.home / "registry/workers").glob("*.json"):
                with suppress(FileNotFoundError):
                    os.utime(path)
            return condition()

        wait_for(kept_alive, 30)

    def is_settled(self) -> bool:
        """Whether two workers are alive and serve what the pointer says."""
        pids = set(self.server.workers())
        generation = self.pointer["generation"]
        told = {beat["pid"] for beat in self.beats if beat["generation"] == generation}
        return len(pids) == 2 and pids <= told

    def is_ready(self) -> bool:
        """Whether both workers could roll back at once, too."""
        pids = set(self.server.workers())
        wanted = {OLD, NEW}
        return self.is_settled() and all(
            wanted <= set(beat["resident"]) for beat in self.beats if beat["pid"] in pids
        )

    def assert_serves(self, version: str) -> None:
        health = self.server.health()
        assert (health["status"], health["model_version"]) == ("ok", version), health
        answer = self.server.predict(cohort_rows(3))
        assert answer.status_code == 200
        assert {one["model_version"] for one in answer.json()} == {version}


def promotion(version: str) -> tuple[str, ...]:
    return ("promote", "--version", version, "--force", "--reason", "drill")
