"""Worker crash: the kernel kills a worker, as it does for memory; the service replaces it."""

import signal
import time

from monitoring.drills import processes
from monitoring.drills.client import Traffic
from monitoring.drills.errors import DrillError
from monitoring.drills.plot import Plot
from monitoring.drills.scene import Scene
from monitoring.drills.versions import FIRST
from monitoring.status import remedies


def play(scene: Scene) -> None:
    scene.client.send(Traffic.of(scene.base.rows()))
    scene.settle()
    with scene.during("fault"):
        killed = time.monotonic()
        processes.send(scene.service.workers()[0], signal.SIGKILL)
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        if "ended unexpectedly" not in scene.shell(remedies.LOGS).output:
            raise DrillError("the log does not tell of the worker that ended")
        scene.shell(remedies.KILLED)
    with scene.during("recovery"):
        scene.wait_health(FIRST, workers=2)
        scene.wait_calm()
        _refuse_failures(scene, killed)
    scene.wait_resolved()


def _refuse_failures(scene: Scene, killed: float) -> None:
    """Only what the dead worker held may have failed: the other one goes on."""
    failed = [answer for answer in scene.client.answers() if answer.status != 200]
    later = [answer for answer in failed if answer.began > killed]
    if later:
        raise DrillError(f"{len(later)} requests that began after the crash failed")
    scene.note(f"{len(failed)} request(s) in flight were lost, and none after")


PLOT = Plot(
    name="worker-crash",
    fault="one of two workers is killed",
    alert="DatathonWorkerRestarted",
    play=play,
)
