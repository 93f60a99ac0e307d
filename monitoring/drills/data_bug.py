"""Data bug: a source sends wrong values that the contract cannot refuse; mending it ends it.

Wrong values move the estimated recall, but not its whole interval below the floor.
"""

from datetime import UTC, datetime

from monitoring.drills.client import Traffic
from monitoring.drills.errors import DrillError
from monitoring.drills.plot import Plot
from monitoring.drills.reports import latest
from monitoring.drills.scene import Scene


def play(scene: Scene) -> None:
    usual, wrong = scene.base.rows(), scene.base.rows("bug")
    scene.client.send(Traffic.of(usual))
    scene.settle()
    with scene.during("fault"):
        scene.client.send(Traffic.of(wrong))
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        report = scene.python("monitoring.drift_report", "--last_n_days", "7", expect=20)
        said = " ".join(report.output.split())
        for words in ("data bug", "first request"):
            if words not in said:
                raise DrillError(f"the drift report does not say {words!r}")
    with scene.during("recovery"):
        scene.client.send(Traffic.of(usual[len(usual) // 2 :]))
        mended = datetime.now(UTC).isoformat(timespec="milliseconds")
        scene.note("the source is mended")
        scene.wait(lambda: latest(scene, "drift").get("status") == "green", 60, "no green report")
        scene.python("monitoring.drift_report", "--from", mended, expect=(0, 10))
    scene.wait_resolved()


PLOT = Plot(
    name="data-bug",
    fault="a constant, a factor of ten, nulls and a new spelling in the rows",
    alert="DatathonDriftRed",
    play=play,
    configuration={"watch": {"drift_days": 8 / 86400}},
    reports=True,
)
