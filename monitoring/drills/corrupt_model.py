"""Corrupt model: a byte of the champion's file flips, and a worker that starts anew cannot load it;
the rollback to the version before ends it.

The worker is made to start anew by a kill (DatathonWorkerRestarted). It has no version, so its
share of the requests is answered with 503 (DatathonErrors and the budgets, all silenced) and its
/health says so (DatathonDegraded, silenced).
"""

import signal

from monitoring.drills import processes
from monitoring.drills.client import Traffic
from monitoring.drills.errors import DrillError
from monitoring.drills.plot import Plot
from monitoring.drills.scene import Scene
from monitoring.drills.versions import FIRST, SECOND
from registry import manifest, store


def play(scene: Scene) -> None:
    scene.client.send(Traffic.of(scene.base.rows()))
    words = ["--version", SECOND, "--force", "--reason", "better precision"]
    scene.python("registry", "promote", *words)
    scene.settle()
    damaged = store.find(scene.state, SECOND).folder / manifest.PIPELINE
    with scene.during("fault"):
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 0x01
        damaged.write_bytes(content)
        processes.send(scene.service.workers()[0], signal.SIGKILL)
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        said = scene.python("registry", "verify", expect=6)
        if damaged.name not in said.output:
            raise DrillError(f"verify does not name {damaged.name}")
    with scene.during("recovery"):
        scene.python("registry", "rollback", "--reason", "pipeline.skops danificado")
        scene.wait_health(FIRST, workers=2)
        scene.wait_calm()
    scene.wait_resolved()


PLOT = Plot(
    name="corrupt-model",
    fault=f"a flipped byte in the pipeline of {SECOND}, and a worker that has to load it",
    alert="DatathonNoChampion",
    companions=frozenset(
        {
            "DatathonWorkerRestarted",
            "DatathonErrors",
            "DatathonDegraded",
            "DatathonBudgetFast",
            "DatathonBudgetSlow",
        }
    ),
    play=play,
)
