"""What happens to the service before a section of the runbook is followed."""

import csv
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from monitoring.drills import versions
from tests.server import Server, command, wait_for
from tests.service.rows import cohort_rows, logged

Incident = Callable[["Scene"], None]


class Scene:
    """A service, the folder that the person on call stands in, and callers who go on."""

    def __init__(self, server: Server, folder: Path, artefacts: Path) -> None:
        self.server = server
        self.folder = folder
        self.artefacts = artefacts
        self._quiet = threading.Event()
        self._callers: threading.Thread | None = None

    @property
    def home(self) -> Path:
        return self.server.home

    def calls(self, row: dict[str, Any]) -> None:
        """Callers send this row again and again, until `hush`."""
        self._quiet.clear()

        def call() -> None:
            with httpx.Client(base_url=self.server.client.base_url, timeout=30) as client:
                while not self._quiet.wait(0.02):
                    client.post("/predict", json={"instances": [row]})

        self._callers = threading.Thread(target=call, daemon=True)
        self._callers.start()

    def hush(self) -> None:
        """The callers of the last incident stop."""
        self._quiet.set()
        if self._callers is not None:
            self._callers.join(30)
            self._callers = None


def _send(scene: Scene, rows: list[dict[str, Any]]) -> None:
    assert scene.server.predict(rows).status_code == 200


def _follow_me(scene: Scene) -> None:
    scene.server.predict(cohort_rows(1), **{"X-Request-ID": "follow-me"})


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _promote(scene: Scene, version: str) -> None:
    forced = ["--force", "--reason", "an incident"]
    command(scene.home, "registry", "promote", "--version", version, *forced)


def _damage(scene: Scene) -> None:
    """The champion's file is damaged while the service is down."""
    _promote(scene, "v1.1.0")
    scene.server.stop()
    _flip(scene.home / "models/defasagem-risk/v1.1.0/pipeline.skops")
    scene.server.__enter__()


def _repair(scene: Scene) -> None:
    _flip(scene.home / "models/defasagem-risk/v1.1.0/pipeline.skops")


def _break(scene: Scene) -> None:
    """A version that raises on a level that newer rows have."""
    versions.raising(scene.artefacts, scene.folder / "raising")
    words = ["--version", "v1.2.0", "--artifacts", str(scene.folder / "raising")]
    command(scene.home, "registry", "register", *words)
    _promote(scene, "v1.2.0")
    row = cohort_rows(1)[0] | {"instituicao": "Federal"}
    assert scene.server.predict([row]).status_code == 500
    scene.calls(row)


def _lose(scene: Scene) -> None:
    (scene.home / "registry/champion.json").unlink()
    wait_for(lambda: scene.server.health()["status"] == "degraded", 10)


def _kill(scene: Scene) -> None:
    (worker,) = scene.server.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: scene.server.workers() not in ([], [worker]), 30)
    wait_for(scene.server.answers, 60)


def _block(scene: Scene) -> None:
    log = scene.home / "inference_log"
    log.rename(scene.home / "inference_log.away")
    log.touch()
    _send(scene, cohort_rows(1))


def _unblock(scene: Scene) -> None:
    log = scene.home / "inference_log"
    log.unlink()
    (scene.home / "inference_log.away").rename(log)


def _cohort(scene: Scene, *words: str) -> None:
    command(scene.home, "training.cohort", *words)


def _label(scene: Scene) -> None:
    """The data team brings labels of what was predicted."""
    labels = scene.folder / "labels.csv"
    with labels.open("w", newline="") as stream:
        written = csv.writer(stream)
        written.writerow(["prediction_id", "label"])
        for record in logged(scene.home):
            written.writerow([record["prediction_id"], record["risk_label"]])
    command(scene.home, "monitoring.labels", "import", labels)


INCIDENTS: dict[str, Incident] = {
    "request follow-me": _follow_me,
    "traffic": lambda scene: _send(scene, cohort_rows(300)),
    "stop": lambda scene: _ended(scene.server.stop()),
    "corrupt": _damage,
    "mended": _repair,
    "broken version": _break,
    "pointer lost": _lose,
    "worker killed": _kill,
    "log broken": _block,
    "log mended": _unblock,
    "data bug": lambda scene: _send(scene, cohort_rows(500, drift="bug", seed=5)),
    "new rows": lambda scene: _cohort(scene, "--output", str(scene.folder / "new-rows.csv")),
    "labels": _label,
}


def _ended(code: int) -> None:
    assert code == 0
