"""All drills as a person runs them: make test-drills. Minutes, so no part of make test."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from monitoring.drill import NAMES
from registry.state import PROJECT
from tests.drills import sections
from tests.drills.test_processes import owners

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(
        shutil.which("prometheus") is None,
        reason="NOT TESTED: the drills; apt-get install prometheus prometheus-alertmanager",
    ),
]

SECONDS = 1100.0  # its step of CI is stopped after 1200

# What each fault has to raise, and what it may raise beside it: the reasons stand in the modules.
EXPECTED: dict[str, tuple[str, set[str]]] = {
    "5xx": ("DatathonErrors", {"DatathonBudgetFast", "DatathonBudgetSlow"}),
    "latency": ("DatathonLatency", {"DatathonLatencyWarning", "DatathonDown"}),
    "drift": ("DatathonDriftRed", {"DatathonEstimatedRecall"}),
    "data-bug": ("DatathonDriftRed", set()),
    "recall": ("DatathonRecallConfirmed", {"DatathonRecallBreach", "DatathonEstimatedRecall"}),
    "bad-promote": ("DatathonEstimatedRecall", set()),
    "worker-crash": ("DatathonWorkerRestarted", set()),
    "disk-full": ("DatathonLogFailing", {"DatathonDegraded", "DatathonDiskFilling"}),
    "corrupt-model": (
        "DatathonNoChampion",
        {
            "DatathonWorkerRestarted",
            "DatathonErrors",
            "DatathonDegraded",
            "DatathonBudgetFast",
            "DatathonBudgetSlow",
        },
    ),
}
# Beside that alert only these may reach the webhook: no inhibition silences them.
ALSO_TOLD: dict[str, set[str]] = {
    "latency": {"DatathonDown"},  # the restart, a minute of a drill
    # Of the retrained version, whose drift is over. Another population puts the estimate at 0.66,
    # wrong values at 0.79: of neither is the whole interval below the floor.
    "drift": {"DatathonEstimatedRecall"},
}
REMEDIES = {
    "5xx": 'registry rollback --reason "5xx alto"',
    "latency": "docker restart datathon-api",
    "drift": "training.retrain --new_version",
    "recall": "training.retrain --new_version",
    "bad-promote": "registry rollback --reason",
    "disk-full": "monitoring.compact",
    "corrupt-model": "registry rollback --reason",
}


@dataclass(frozen=True)
class Run:
    """One run of all, and what it left."""

    code: int
    output: str
    drills: dict[str, dict[str, Any]]
    left: list[Path]
    processes: list[int]
    mounts: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("drills")
    temporary = folder / "tmp"
    temporary.mkdir()
    drill = subprocess.Popen(
        [sys.executable, "-m", "monitoring.drill", "all", "--json", str(folder / "drills.json")],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(temporary), "BENTOML_HOME": str(folder / "users")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = drill.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:  # it ends what it started, and has written what was played
        drill.terminate()
        said, _ = drill.communicate()
    content = json.loads((folder / "drills.json").read_text(encoding="utf-8"))
    return Run(
        drill.returncode,
        said,
        {one["drill"]: one for one in content["drills"]},
        [*temporary.iterdir(), *folder.glob("users")],
        owners(temporary),
        Path("/proc/mounts").read_text(),
    )


def drilled(run: Run, name: str) -> dict[str, Any]:
    """The document of one drill; skips loudly where it cannot be drilled here."""
    assert name in run.drills, f"not played within {SECONDS:g} s:\n{run.output}"
    one = run.drills[name]
    if one["outcome"] == "impossible":
        pytest.skip(f"NOT TESTED, drill {name}: {one['problem']}")
    return one


@pytest.mark.parametrize("name", NAMES)
def test_the_service_recovers(run: Run, name: str) -> None:
    one = drilled(run, name)
    assert one["outcome"] == "recovered", f"{one['failed_stage']}: {one['problem']}\n{run.output}"


@pytest.mark.parametrize("name", NAMES)
def test_the_right_alert_fires_and_no_other_that_the_fault_does_not_explain(
    run: Run, name: str
) -> None:
    one = drilled(run, name)
    alert, companions = EXPECTED[name]
    assert alert in one["fired"]
    assert set(one["fired"]) <= {alert} | companions


@pytest.mark.parametrize("name", NAMES)
def test_that_alert_is_told_and_what_it_silences_is_not(run: Run, name: str) -> None:
    one = drilled(run, name)
    alert, _ = EXPECTED[name]
    assert alert in one["told"]
    assert set(one["told"]) <= {alert} | ALSO_TOLD.get(name, set())
    assert any(note.startswith(f"{alert} was told to ") for note in one["notes"])


@pytest.mark.parametrize("name", NAMES)
def test_the_stages_come_in_their_order(run: Run, name: str) -> None:
    seconds = drilled(run, name)["seconds"]
    order = ("fault", "alert", "diagnosis", "recovery", "resolution")
    assert seconds["fault"] == 0
    assert all(seconds[one] <= seconds[next_] for one, next_ in pairwise(order))
    assert seconds["alert"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_status_names_the_incident_and_the_runbook_ends_it(run: Run, name: str) -> None:
    one = drilled(run, name)
    status = [c for c in one["commands"] if "monitoring.status" in c["text"]]
    assert [c["stage"] for c in status] == ["diagnosis"]
    assert status[0]["exit_code"] in (10, 20)
    if name in REMEDIES:
        recovery = " ; ".join(c["text"] for c in one["commands"] if c["stage"] == "recovery")
        assert REMEDIES[name].replace('"', "'") in recovery


@pytest.mark.parametrize("name", NAMES)
def test_what_is_run_from_the_alert_on_stands_in_its_section_of_the_runbook(
    run: Run, name: str
) -> None:
    one = drilled(run, name)
    known = sections.commands(one["alert"])
    run_then = [c["text"] for c in one["commands"] if c["stage"] in ("diagnosis", "recovery")]
    assert [text for text in run_then if sections.general(text) not in known] == []


@pytest.mark.parametrize("name", ["5xx", "bad-promote"])
def test_a_rollback_takes_less_than_half_a_minute_of_commands(run: Run, name: str) -> None:
    one = drilled(run, name)
    assert one["command_seconds"] < 30
    assert one["seconds"]["recovery"] - one["seconds"]["alert"] < 60


def test_the_client_saw_errors_where_there_were_some_and_none_where_not(run: Run) -> None:
    failing = drilled(run, "5xx")["requests"]
    assert failing["alert"]["500"] > 0
    assert set(failing["resolution"]) <= {"200"}
    for name in ("drift", "data-bug", "recall", "bad-promote"):
        requests = drilled(run, name)["requests"]
        assert all(set(statuses) <= {"200"} for statuses in requests.values()), name


def test_nothing_is_left_running_or_lying_about(run: Run) -> None:
    assert run.left == []
    assert run.processes == []
    assert "datathon-drill-" not in run.mounts


def test_the_exit_code_is_that_of_all(run: Run) -> None:
    outcomes = {one["outcome"] for one in run.drills.values()}
    assert tuple(run.drills) == NAMES
    assert run.code == (3 if "impossible" in outcomes else 0), run.output
