"""Recall: what decides the label changed, which only labels show; a retrained version learns it.

A recall that is surely below the floor is below it (DatathonRecallBreach, silenced).
"""

import csv
import time

from monitoring.drills.client import Row, Traffic
from monitoring.drills.plot import Plot
from monitoring.drills.reports import latest
from monitoring.drills.retraining import retrain
from monitoring.drills.scene import Scene
from monitoring.drills.versions import RETRAINED

_ROWS = 600


def play(scene: Scene) -> None:
    changed = scene.base.rows("concept")
    scene.client.send(Traffic.of(scene.base.rows()))
    scene.settle()
    with scene.during("fault"):
        _labels_come(scene, changed[: len(changed) // 2])
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        scene.python("monitoring.performance_drift", "--window", "120", expect=20)
    with scene.during("recovery"):
        retrain(scene, "--labels-from-log", reason="recall below the floor")
        _labels_come(scene, changed[len(changed) // 2 :])
        scene.wait(lambda: _is_sound(scene), 90, f"no good recall of {RETRAINED} reported")
        scene.python("monitoring.performance_drift", "--window", "120", expect=(0, 10))
    scene.wait_resolved()


def _labels_come(scene: Scene, rows: list[Row]) -> None:
    """Rows are predicted and, as if months had passed, their labels are imported."""
    began = time.monotonic()
    traffic = Traffic.of(rows)
    scene.client.send(traffic)

    def answered() -> int:
        return sum(a.rows for a in scene.client.answers(began) if a.status == 200)

    scene.wait(lambda: answered() >= _ROWS, 60, f"{_ROWS} rows were not predicted")
    with scene.base.labels("concept").open(encoding="utf-8", newline="") as stream:
        known = {line["entity_id"]: line for line in csv.DictReader(stream)}
    path = scene.folder / f"labels-{len(scene.commands)}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["entity_id", "period", "label"])
        for row in rows[:_ROWS]:
            line = known[row["entity_id"]]
            writer.writerow([line["entity_id"], line["period"], line["label"]])
    scene.meanwhile("monitoring.labels", "import", str(path))


def _is_sound(scene: Scene) -> bool:
    report = latest(scene, "performance")
    return report.get("model_version") == RETRAINED and report.get("status") in ("green", "yellow")


PLOT = Plot(
    name="recall",
    fault="another promotion rule: the same features lead to other labels",
    alert="DatathonRecallConfirmed",
    companions=frozenset({"DatathonRecallBreach", "DatathonEstimatedRecall"}),
    play=play,
    configuration={"watch": {"drift_days": 30 / 86400}},
    reports=True,
)
