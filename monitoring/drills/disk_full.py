"""Disk full: days past retention fill the disk of the inference log; the compaction that should
have removed them ends it.

A disk without room is DatathonDiskFilling, and a log that fails is DatathonDegraded; both silenced.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from monitoring.drills.client import Traffic
from monitoring.drills.errors import DrillError, ImpossibleError
from monitoring.drills.plot import Plot
from monitoring.drills.scene import Scene
from registry.state import State

_MEGABYTES = 16
_OLD_DAY = "dt=2024-01-01"


def play(scene: Scene) -> None:
    scene.client.send(Traffic.of(scene.base.rows()))
    scene.settle()
    log = scene.state.inference_log
    with scene.during("fault"):
        _fill(log / _OLD_DAY)
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        scene.shell('df -h "$BENTOML_HOME"/inference_log')
        scene.shell('du -sh "$BENTOML_HOME"/*')
    with scene.during("recovery"):
        scene.python("monitoring.compact")
        scene.wait(lambda: (scene.service.health() or {}).get("status") == "ok", 90, "not ok")
        scene.wait_calm()
    scene.wait_resolved()
    _account(scene)


@contextmanager
def small_disk(home: Path) -> Iterator[None]:
    """The inference log on a disk of its own until the end of the block.

    Raises:
        ImpossibleError: that takes root.
    """
    folder = State(home).inference_log
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ImpossibleError(
            f"cannot be drilled here: mounting a small disk takes root: {done.stderr.strip()}"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _fill(day: Path) -> None:
    """Write until nothing more fits."""
    day.mkdir()
    with (day / "old.jsonl").open("wb", buffering=0) as stream:
        try:
            while stream.write(b"\n" * 4096):
                pass
        except OSError:
            return


def _account(scene: Scene) -> None:
    """Every row that was answered is in the log, or the service said that it is not."""
    answered = {a.request_id: a.rows for a in scene.client.answers() if a.status == 200}
    logged: set[str] = set()
    for file in scene.state.inference_log.glob("dt=*/*.jsonl"):
        logged |= {orjson.loads(line)["request_id"] for line in file.read_bytes().splitlines()}
    missing = sum(rows for request, rows in answered.items() if request not in logged)
    lines = scene.service.log.read_text(encoding="utf-8").splitlines()
    told = sum(_not_logged(line) for line in lines if "not logged" in line)
    if missing != told:
        raise DrillError(f"{missing} answered rows are not in the log, and it told of {told}")
    scene.note(f"{missing} rows were answered without being logged, and each was told of")


def _not_logged(line: str) -> int:
    """Of an ERROR line that ends with `; N row(s) not logged`."""
    words = orjson.loads(line)["message"].rpartition("; ")[2].split()
    return int(words[0])


PLOT = Plot(
    name="disk-full",
    fault="the disk of the inference log is full",
    alert="DatathonLogFailing",
    companions=frozenset({"DatathonDegraded", "DatathonDiskFilling"}),
    play=play,
    around=small_disk,
)
