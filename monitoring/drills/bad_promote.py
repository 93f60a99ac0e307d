"""Bad promote: a version whose threshold hardly anybody reaches; the rollback ends it.

Until labels come only the estimate of recall can tell; nothing else is to fire.
"""

from monitoring.drills.client import Traffic
from monitoring.drills.plot import Plot
from monitoring.drills.reports import latest
from monitoring.drills.scene import Scene
from monitoring.drills.versions import FIRST, STRICT


def play(scene: Scene) -> None:
    scene.client.send(Traffic.of(scene.base.rows()))
    scene.settle()
    with scene.during("fault"):
        scene.python("registry", "promote", "--version", STRICT, "--force", "--reason", "new model")
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        scene.python("monitoring.drift_report", "--last_n_days", "7", expect=(10,))
        scene.python("registry", "history")
    with scene.during("recovery"):
        scene.python("registry", "rollback", "--reason", "recall estimado abaixo do piso")
        scene.wait_health(FIRST, workers=2)
        scene.wait(lambda: latest(scene, "drift").get("model_version") == FIRST, 90, "no report")
    scene.wait_resolved()


PLOT = Plot(
    name="bad-promote",
    fault=f"{STRICT}, promoted by force, has a threshold that hardly anybody reaches",
    alert="DatathonEstimatedRecall",
    play=play,
    bad=(STRICT,),
    configuration={"watch": {"drift_days": 20 / 86400}},
    reports=True,
)
