"""From what a service shows to what a person is told, by a real Prometheus and Alertmanager."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.watching.binaries import WatchError
from monitoring.watching.stack import Stack
from tests.deploy import tools
from tests.watching.exposing import Exposing

pytestmark = pytest.mark.incident

FINE = """datathon_worker_serving{worker="0"} 1
datathon_worker_degraded{worker="0"} 0
datathon_worker_generation{worker="0"} 1
datathon_champion_generation 1
"""
EMPTY = FINE.replace('serving{worker="0"} 1', 'serving{worker="0"} 0').replace(
    'degraded{worker="0"} 0', 'degraded{worker="0"} 1'
)
SECONDS = 40.0


@pytest.fixture
def service() -> Iterator[Exposing]:
    with Exposing(FINE) as running:
        yield running


@pytest.fixture
def stack(service: Exposing, tmp_path: Path) -> Iterator[Stack]:
    for name in ("prometheus", "prometheus-alertmanager"):
        tools.tool(name)
    with Stack(service.address, tmp_path) as started:
        started.wait_scraped(SECONDS)
        yield started


def test_one_incident_tells_one_person_once(stack: Stack, service: Exposing) -> None:
    assert stack.firing() == set()
    service.text = EMPTY
    told = stack.wait_notified("DatathonNoChampion", SECONDS)
    assert (told.receiver, told.status) == ("on-call", "firing")
    assert told.firing[0]["instance"] == service.address
    assert told.annotations["runbook"] == "docs/runbook.md#datathonnochampion"
    stack.wait_firing("DatathonDegraded", SECONDS)  # it fires, and its cause keeps it silent
    service.text = FINE
    stack.wait_notified("DatathonNoChampion", SECONDS, status="resolved")
    assert stack.notified() == {"DatathonNoChampion"}


def test_each_team_is_told_its_own(stack: Stack, service: Exposing) -> None:
    drift = 'datathon_drift_status{kind="drift",feature="%s"} 2\n'
    recall = 'datathon_recall{kind="performance"} 0.5\n'
    service.text = FINE + drift % "idade" + drift % "inde" + recall
    assert stack.wait_notified("DatathonDriftRed", SECONDS).receiver == "data-team"
    assert stack.wait_notified("DatathonRecallBreach", SECONDS).receiver == "tech-lead"
    summary = stack.wait_notified("DatathonDriftRed", 1).annotations["summary"]
    assert summary.split() == ["Strong", "drift", "in", "idade", "inde"]
    assert stack.query("sum(datathon_drift_status)")[0].value == 4


def test_what_does_not_come_is_told_with_what_did(stack: Stack) -> None:
    with pytest.raises(WatchError, match=r"DatathonDown does not fire after 0\.2 s; now: no alert"):
        stack.wait_firing("DatathonDown", 0.2)
    with pytest.raises(WatchError, match=r"nobody was told that DatathonDown is firing"):
        stack.wait_notified("DatathonDown", 0.2)
