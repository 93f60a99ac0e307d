"""The drift report on a version whose estimated recall is below its floor, without any drift."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitoring.drift.analysis import hold_estimate
from registry import manifest
from tests.monitoring.rendering.documents import drift, estimate, quiet_drift
from tests.monitoring.streams import load, log_rows, spread
from tests.server import command
from tests.service.rows import cohort_rows

WEEK = ("--from", "2026-03-02", "--to", "2026-03-08")


def make_strict(home: Path, version: str) -> None:
    """Give it a threshold that hardly anybody reaches, and some rows of its own in the log."""
    folder = home / "models" / "defasagem-risk" / version
    model = folder / "model.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"threshold": 0.95}))
    manifest.write(folder)
    log_rows(home, load(home, version), cohort_rows(500, seed=1), spread(500, 7))


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "Without labels, recall is estimated at 0."),
        ("pt", "Sem rótulos, o recall é estimado em 0,"),
    ],
)
def test_a_version_that_misses_most_is_yellow_and_rolled_back(
    home: Path, lang: str, said: str, tmp_path: Path
) -> None:
    make_strict(home, "v1.1.0")
    bad = ("--version", "v1.1.0", "--force", "--reason", "new model")
    command(home, "registry", "promote", *bad)
    exposed = tmp_path / "drift.prom"
    arguments = (*WEEK, "--lang", lang, "--textfile", str(exposed))
    done = command(home, "monitoring.drift_report", *arguments, check=False)
    assert done.returncode == 10, done.stdout
    assert said in " ".join(done.stdout.split())
    assert "python -m registry history" in done.stdout
    assert "python -m registry rollback --reason" in done.stdout
    document = json.loads(next((home / "reports").glob("drift-*.json")).read_text())
    assert document["estimate_below_floor"] is True
    found = [document[key] for key in ("status", "next_step", "rollback_to", "next_version")]
    assert found == ["yellow", "roll_back_check", "v1.0.0", "v1.2.0"]
    page = next((home / "reports").glob("drift-*.html")).read_text()
    assert said in page
    assert "datathon_report_status" in exposed.read_text()
    status = next(line for line in exposed.read_text().splitlines() if "report_status{" in line)
    assert status.endswith(" 1.0")


def test_the_first_champion_has_nothing_to_be_rolled_back_to(home: Path) -> None:
    make_strict(home, "v1.0.0")
    done = command(home, "monitoring.drift_report", *WEEK, check=False)
    assert done.returncode == 10, done.stdout
    assert "below its floor of 0.70" in " ".join(done.stdout.split())
    assert "rollback" not in done.stdout
    assert "python -m monitoring.labels import FILE" in done.stdout


def held(**changes: Any) -> dict[str, Any]:
    recall = changes.pop("recall")
    quiet = quiet_drift(estimate={"metrics": {"recall": recall}, "training": {}}, **changes)
    return hold_estimate(quiet, recall_floor=0.70)


@pytest.mark.parametrize(
    ("recall", "status", "expected"),
    [
        (estimate(0.60, 0.05), "green", "yellow"),
        (estimate(0.60, 0.05), "yellow", "yellow"),
        (estimate(0.60, 0.05), "red", "red"),
        (estimate(0.60, 0.05), "inconclusive", "inconclusive"),
        (estimate(0.66, 0.05), "green", "green"),  # the interval reaches the floor
        (estimate(0.65, 0.05), "green", "green"),  # and so does this, as in the alert
        (estimate(None), "green", "green"),
    ],
)
def test_only_a_whole_interval_below_the_floor_is_yellow(
    recall: Any, status: str, expected: str
) -> None:
    found = held(recall=recall, status=status)
    assert found["status"] == expected
    assert found["estimate_below_floor"] == (recall["high"] == 0.65 and status != "inconclusive")


def test_a_data_bug_is_mended_first() -> None:
    bug = drift(status="yellow", next_step="fix_data")
    assert hold_estimate(bug, recall_floor=0.99)["next_step"] == "fix_data"
