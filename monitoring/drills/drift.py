"""Drift: another population comes, which a version trained on it knows.

A retrained version has a recall of its own, so an estimate below the floor may be told with it.
"""

import csv
from pathlib import Path

from monitoring.drills.client import Row, Traffic
from monitoring.drills.errors import DrillError
from monitoring.drills.plot import Plot
from monitoring.drills.reports import latest
from monitoring.drills.retraining import retrain
from monitoring.drills.scene import Scene
from monitoring.drills.versions import RETRAINED
from registry import configuration

_TRAINED_ROWS = 1500
_DAYS = 15 / 86400  # of the report that the alert looks at; 7 without a drill


def play(scene: Scene) -> None:
    usual, others = scene.base.rows(), scene.base.rows("population")
    scene.client.send(Traffic.of(usual))
    scene.settle()
    with scene.during("fault"):
        scene.client.send(Traffic.of(others[:-_TRAINED_ROWS]))
    scene.wait_alert()
    with scene.diagnosing():
        scene.status()
        report = scene.python("monitoring.drift_report", "--last_n_days", f"{_DAYS:.6f}", expect=20)
        if "population" not in report.output:
            raise DrillError("the drift report does not speak of the population")
    with scene.during("recovery"):
        data = labelled(scene, others[-_TRAINED_ROWS:], scene.base.labels("population"))
        retrain(scene, "--data", str(data), reason="new population")
        scene.wait(lambda: _is_sound(scene), 90, f"no report of {RETRAINED} that is not red")
        scene.python("monitoring.drift_report", "--last_n_days", "7", expect=(0, 10))
    scene.wait_resolved()


def labelled(scene: Scene, rows: list[Row], labels: Path) -> Path:
    """Rows with their labels as a file to train on."""
    model = configuration.load().model
    with labels.open(encoding="utf-8", newline="") as stream:
        known = {line["entity_id"]: line["label"] for line in csv.DictReader(stream)}
    names = {"entity_id": model.entity_column or "entity_id", "period": model.time_column}
    path = scene.folder / "labelled.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(names.get(name, name) for name in rows[0]), model.target])
        writer.writerows([*row.values(), known[row["entity_id"]]] for row in rows)
    return path


def _is_sound(scene: Scene) -> bool:
    report = latest(scene, "drift")
    return report.get("model_version") == RETRAINED and report.get("status") in ("green", "yellow")


PLOT = Plot(
    name="drift",
    fault="pupils of another population: many younger newcomers",
    alert="DatathonDriftRed",
    companions=frozenset({"DatathonEstimatedRecall"}),
    play=play,
    configuration={"watch": {"drift_days": _DAYS}},
    reports=True,
)
