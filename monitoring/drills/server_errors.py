"""5xx: a version that passed every check raises on live rows; the rollback ends it.

A budget alert may fire beside DatathonErrors, which silences it: the same requests fail.
"""

import json

from monitoring.drills.client import Traffic
from monitoring.drills.errors import DrillError
from monitoring.drills.plot import Plot
from monitoring.drills.scene import Scene
from monitoring.drills.versions import RAISING
from monitoring.status import remedies


def play(scene: Scene) -> None:
    scene.client.send(Traffic.of(scene.base.rows(), size=3))
    scene.settle()
    with scene.during("fault"):
        scene.python(
            "registry", "promote", "--version", RAISING, "--force", "--reason", "new model"
        )
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        _find_error(scene)
        scene.python("registry", "list")
        scene.run("bentoml", "models", "list")
    with scene.during("recovery"):
        scene.python("registry", "rollback", "--reason", "5xx alto")
        scene.wait_calm()
    scene.wait_resolved()


def _find_error(scene: Scene) -> None:
    """The log has to say of a request that failed which exception it was."""
    found = scene.shell(remedies.LOGS)
    failed = {answer.request_id for answer in scene.client.answers() if answer.status == 500}
    for line in map(json.loads, found.output.splitlines()):
        if line.get("request_id") in failed and "frames" in line:
            scene.note(f"the log says of request {line['request_id']}: {line['message']}")
            return
    raise DrillError(f"no ERROR line of the {len(failed)} requests that failed in the log")


PLOT = Plot(
    name="5xx",
    fault=f"{RAISING}, promoted by force, raises on kinds of school that it was not fitted on",
    alert="DatathonErrors",
    companions=frozenset({"DatathonBudgetFast", "DatathonBudgetSlow"}),
    play=play,
    bad=(RAISING,),
)
