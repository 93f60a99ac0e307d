"""What happens to the service before a section of the runbook is followed."""

import csv
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from monitoring.drills import processes, versions
from registry import moves
from registry.heartbeat import Workers
from registry.processes import is_alive
from registry.state import State
from tests.server import Server, command, wait_for
from tests.service.rows import cohort_rows, logged

Incident = Callable[["Scene"], None]
_STOP_SECONDS = 10.0  # as docker gives a container
_SWAP_SECONDS = 10.0  # before these are over, a worker that does not follow is no finding yet


class Scene:
    """A service, the folder that the person on call stands in (`desk`), and callers who go on."""

    def __init__(self, server: Server, folder: Path, artefacts: Path) -> None:
        self.server = server
        self.folder = folder
        self.artefacts = artefacts
        self.desk = folder / "desk"
        self.desk.mkdir()
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

    def run(self, image: str, variables: Mapping[str, str]) -> None:
        """As `docker run` does: another service over the state, of the Bento that an image of this
        name is built from. It answers then, by the first of its workers."""
        self.server = Server(self.home, target=image, **variables)
        self.server.__enter__()

    def remove(self) -> None:
        """The service and its log are gone."""
        self.server.__exit__(None, None, None)

    def restart(self) -> None:
        """As docker does: what does not stop in ten seconds is killed."""
        process = self.server.process
        assert process is not None
        family = [process.pid, *processes.descendants(process.pid)]
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        processes.end([pid for pid in family if is_alive(pid)], 1)
        self.server.__enter__()

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


def _misconfigure(scene: Scene) -> None:
    """Somebody edited the file that the service was started with, and restarted it."""
    scene.server.stop()
    with (scene.home / "configuration.yaml").open("a") as file:
        file.write("wach: {}\n")
    with pytest.raises(AssertionError, match="ended early"):
        scene.server.__enter__()


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
    _promote_bad(scene, versions.raising, "v1.2.0")
    row = cohort_rows(1)[0] | {"instituicao": "Federal"}
    assert scene.server.predict([row]).status_code == 500
    scene.calls(row)


def _promote_bad(scene: Scene, make: Callable[[Path, Path], None], version: str) -> None:
    artefacts = scene.folder / version
    make(scene.artefacts, artefacts)
    command(scene.home, "registry", "register", "--version", version, "--artifacts", artefacts)
    _promote(scene, version)


def _promote_strict(scene: Scene) -> None:
    """A version that flags hardly anybody."""
    _promote_bad(scene, versions.strict, "v1.5.0")
    _send(scene, cohort_rows(300))


def _back(scene: Scene) -> None:
    words = ["--version", "v1.0.0", "--reason", "an incident is over"]
    command(scene.home, "registry", "rollback", *words)


def _lose(scene: Scene) -> None:
    (scene.home / "registry/champion.json").unlink()
    wait_for(lambda: scene.server.health()["status"] == "degraded", 10)


def _strand(scene: Scene) -> None:
    """The files of the new champion are damaged before the worker has read them."""
    (worker,) = scene.server.workers()
    os.kill(worker, signal.SIGSTOP)
    moves.promote(State(scene.home), model=None, version="v1.1.0", reason="an incident")
    moved = time.monotonic()
    _flip(scene.home / "models/defasagem-risk/v1.1.0/pipeline.skops")
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: scene.server.health()["status"] == "degraded", 10)
    wait_for(lambda: time.monotonic() - moved > _SWAP_SECONDS, 20)


def _hang(scene: Scene) -> None:
    (worker,) = scene.server.workers()
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: not Workers(State(scene.home)).alive(), 10)


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


def _keep_old(scene: Scene) -> None:
    """Nobody ran compact for years."""
    day = scene.home / "inference_log/dt=2024-01-01"
    day.mkdir()
    (day / "old.jsonl").write_bytes(bytes(1024))


def _cohort(scene: Scene, *words: str) -> None:
    command(scene.home, "training.cohort", *words)


def _label(scene: Scene, *, recall: float) -> None:
    """The data team has labels of what the champion saw of the cohort, of whom it found that share;
    a fifth of those that it flagged were none."""
    of_cohort = [one for one in logged(scene.home) if one["period"] is not None]
    records = [one for one in of_cohort if one["model_version"] == "v1.0.0"]
    records.sort(key=lambda one: float(one["risk_score"]))
    Random(1).shuffle(records)
    flagged = [one["prediction_id"] for one in records if one["risk_label"]]
    passed = [one["prediction_id"] for one in records if not one["risk_label"]]
    found = flagged[len(flagged) // 5 :]
    missed = passed[: round(len(found) * (1 - recall) / recall)]
    with (scene.desk / "labels.csv").open("w", newline="") as stream:
        written = csv.writer(stream)
        written.writerow(["prediction_id", "label", "observed_at"])
        now, positive = f"{datetime.now(UTC):%FT%TZ}", {*found, *missed}
        written.writerows([one, int(one in positive), now] for one in (*flagged, *passed))


def _import(scene: Scene, *, recall: float) -> None:
    _label(scene, recall=recall)
    command(scene.home, "monitoring.labels", "import", scene.desk / "labels.csv")


INCIDENTS: dict[str, Incident] = {
    "request follow-me": _follow_me,
    "traffic": lambda scene: _send(scene, cohort_rows(300)),
    "stop": lambda scene: _ended(scene.server.stop()),
    "wrong setting": _misconfigure,
    "corrupt": _damage,
    "mended": _repair,
    "broken version": _break,
    "pointer lost": _lose,
    "cannot follow": _strand,
    "worker killed": _kill,
    "worker stuck": _hang,
    "log broken": _block,
    "log mended": _unblock,
    "days past retention": _keep_old,
    "data bug": lambda scene: _send(scene, cohort_rows(500, drift="bug", seed=5)),
    "source mended": lambda scene: _send(scene, cohort_rows(500, seed=6)),
    "new rows": lambda scene: _cohort(scene, "--output", str(scene.desk / "new-rows.csv")),
    "back on v1.0.0": _back,
    "labels that miss some": lambda scene: _import(scene, recall=0.68),
    "labels that miss many": lambda scene: _import(scene, recall=0.60),
    "strict version": _promote_strict,
    "labels gone": lambda scene: shutil.rmtree(scene.home / "labels"),
    "labels sent": lambda scene: _label(scene, recall=0.80),
}


def _ended(code: int) -> None:
    assert code == 0
