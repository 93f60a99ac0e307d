"""Facts in, findings out: the limits of the alerts, the first command, and who goes first."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from monitoring.status.facts import (
    ErrorGroup,
    Facts,
    Health,
    Interval,
    Settings,
    Spread,
    Standing,
    Traffic,
)
from monitoring.status.judgement import EXIT_CODES, judge, status
from registry.state import PROJECT
from tests.monitoring.status.situations import (
    CHAMPION,
    DOWN,
    DRIFT,
    HEALTH,
    IDLE,
    PERFORMANCE,
    SAMPLE,
    SETTINGS,
    STANDING,
    STORAGE,
    URL,
    WELL,
    WORKER,
    assert_is_one_finding,
    before,
    slow,
    with_drift,
    with_gauges,
    with_health,
    with_performance,
    with_sample,
    with_standing,
    with_storage,
    with_total,
    with_worker,
)

LOGS = "docker logs --since 1h datathon-api"
VERIFY = "python -m registry verify"


GREEN = {
    "well": WELL,
    "idle": replace(WELL, traffic=IDLE),
    "just rolled out, nothing ever predicted": replace(
        WELL,
        health=replace(HEALTH, uptime_seconds=9.0),
        storage=replace(STORAGE, day=None, newest_row=None, labels_at=None),
        drift=replace(DRIFT, made_at=None, status=None, problem="no background report yet"),
        performance=replace(PERFORMANCE, made_at=None, status=None, recall=None, coverage=None),
    ),
    "one in a hundred": with_sample(requests=100.0, server_errors=1.0),
    "refusals are no failures": with_sample(client_errors=40.0),
    "300 ms": slow(0.3),
    "a swap in progress": with_standing(
        champion=replace(CHAMPION, generation=3, since=before(seconds=2))
    ),
    "a Bento's own model": replace(
        WELL, health=replace(HEALTH, generation=0), standing=Standing("/srv/bentoml")
    ),
    "drift of the version before": with_drift(status="red", red=("inde",), version="v1.0.0"),
    "recall that the report doubts": with_performance(
        recall=Interval(0.5, 0.3, 0.6), status="inconclusive"
    ),
    "a beat that is late": with_gauges(beat_seconds=15.0),
    "an estimate of a handful of rows": with_drift(
        estimated=Interval(0.5, 0.4, 0.6), status="inconclusive"
    ),
    "an estimate that may be above": with_drift(estimated=Interval(0.65, 0.6, 0.71)),
    "a worker that ended a month ago": with_total(restarts=1.0),
    "batches lost once": with_sample(log_failures=0.0),
    "a quarter free": with_storage(free_bytes=1e10, size_bytes=1e11),
    "an evening": replace(with_storage(newest_row=before(hours=5)), traffic=IDLE),
    "a holiday": replace(with_storage(newest_row=before(days=20)), traffic=IDLE),
    "labels that come after a year": replace(
        with_performance(overdue_days=395.0), storage=replace(STORAGE, labels_at=before(days=394))
    ),
    "the same, before there is a report": replace(
        with_storage(labels_at=before(days=394)), settings=replace(SETTINGS, label_delay_days=365)
    ),
    "empty contacts": replace(WELL, settings=replace(SETTINGS, contacts=(("on_call", ""),))),
}


@pytest.mark.parametrize("facts", GREEN.values(), ids=GREEN.keys())
def test_nothing_to_do(facts: Facts) -> None:
    assert judge(facts) == ()
    assert EXIT_CODES[status(judge(facts))] == 0


WRONG: list[tuple[str, Facts, str, str | None, str]] = [
    # what, facts, severity, alert, how the first command begins
    ("down", DOWN, "red", "DatathonDown", LOGS),
    (
        "hangs",
        replace(DOWN, health=Health(URL, problem="no answer within 2 s"), standing=STANDING),
        "red",
        "DatathonDown",
        LOGS,
    ),
    (
        "somebody else's port",
        replace(DOWN, health=Health(URL, 200, problem="HTTP 200, not this service's")),
        "red",
        "DatathonDown",
        f"curl -si {URL}/health",
    ),
    (
        "nothing ever",
        replace(DOWN, standing=Standing("/srv/bentoml", exists=False, problem="not there")),
        "inconclusive",
        "DatathonDown",
        'echo "BENTOML_HOME=$BENTOML_HOME"; docker ps -a',
    ),
    (
        "no champion",
        replace(
            WELL,
            health=replace(HEALTH, http_status=503, status="unavailable", reason="no champion yet"),
            standing=Standing("/srv/bentoml", workers=(replace(WORKER, problem="no champion"),)),
        ),
        "red",
        "DatathonNoChampion",
        "python -m registry list",
    ),
    (
        "champion gone from the store",
        with_standing(champion=replace(CHAMPION, registered=False)),
        "red",
        "DatathonNoChampion",
        VERIFY,
    ),
    ("a worker without", with_gauges(serving=False), "red", "DatathonNoChampion", VERIFY),
    (
        "pointer lost",
        with_standing(pointer_problem="champion.json is gone"),
        "red",
        "DatathonDegraded",
        VERIFY,
    ),
    (
        "degraded",
        with_health(status="degraded", reason="unexpected OSError"),
        "yellow",
        "DatathonDegraded",
        LOGS,
    ),
    ("degraded by gauge", with_gauges(degraded=True), "yellow", "DatathonDegraded", LOGS),
    ("a worker's problem", with_worker(problem="digest"), "yellow", "DatathonDegraded", VERIFY),
    (
        "two generations",
        with_worker(generation=1, version="v1.0.0"),
        "red",
        "DatathonGenerationsDisagree",
        VERIFY,
    ),
    ("silent", with_worker(alive=False, beat_seconds=40.0), "red", "DatathonWorkerStuck", LOGS),
    ("old beat", with_gauges(beat_seconds=15.1), "red", "DatathonWorkerStuck", LOGS),
    (
        "restarted",
        replace(with_worker(up_seconds=60.0), traffic=with_total(restarts=1.0).traffic),
        "yellow",
        "DatathonWorkerRestarted",
        "dmesg",
    ),
    ("5xx", with_sample(requests=99.0, server_errors=1.0), "red", "DatathonErrors", LOGS),
    ("5xx before", with_total(server_errors=501.0), "yellow", "DatathonErrors", LOGS),
    ("slow", slow(0.31), "yellow", "DatathonLatencyWarning", "top"),
    ("too slow", slow(0.51), "red", "DatathonLatency", "top"),
    (
        "slow, three requests",
        slow(0.9, 3.0),
        "yellow",
        "DatathonLatency",
        f"python -m monitoring.status --url {URL} --seconds 30",
    ),
    (
        "slow since the start",
        with_total(predict=Spread(9.0, 0.2, 0.4, 0.4)),
        "yellow",
        "DatathonLatencyWarning",
        f"python -m monitoring.status --url {URL} --seconds 30",
    ),
    (
        "log failing",
        with_health(status="degraded", reason="inference log /x: No space left on device"),
        "red",
        "DatathonLogFailing",
        "df -h",
    ),
    ("log failing now", with_sample(log_failures=1.0), "red", "DatathonLogFailing", "df -h"),
    ("log unreadable", with_storage(problem="denied"), "yellow", "DatathonLogFailing", "df -h"),
    ("disk", with_storage(free_bytes=9.9e9), "yellow", "DatathonDiskFilling", "df -h"),
    ("disk almost full", with_storage(free_bytes=4.9e9), "red", "DatathonDiskFilling", "df -h"),
    (
        "silence",
        replace(with_storage(newest_row=before(hours=7)), traffic=IDLE),
        "yellow",
        "DatathonNoPredictions",
        "curl",
    ),
    (
        "silence of two weeks",
        replace(with_storage(newest_row=before(days=13)), traffic=IDLE),
        "yellow",
        "DatathonNoPredictions",
        "curl",
    ),
    (
        "drift",
        with_drift(status="red", red=("inde",)),
        "red",
        "DatathonDriftRed",
        "python -m monitoring.drift_report --last_n_days 7",
    ),
    (
        "some drift",
        with_drift(status="yellow", yellow=("inde",)),
        "yellow",
        "DatathonDriftRed",
        "python -m monitoring.drift_report --last_n_days 7",
    ),
    (
        "breach",
        with_performance(recall=Interval(0.69, 0.6, 0.75), status="yellow"),
        "yellow",
        "DatathonRecallBreach",
        "python -m monitoring.performance_drift --window 120",
    ),
    (
        "confirmed",
        with_performance(recall=Interval(0.6, 0.5, 0.69), status="red"),
        "red",
        "DatathonRecallConfirmed",
        "python -m monitoring.performance_drift --window 120",
    ),
    (
        "estimate",
        with_drift(estimated=Interval(0.6, 0.5, 0.69), status="yellow"),
        "yellow",
        "DatathonEstimatedRecall",
        "python -m monitoring.drift_report",
    ),
    (
        "no labels for long",
        with_storage(labels_at=before(days=121)),
        "yellow",
        "DatathonNoLabels",
        "python -m monitoring.labels import",
    ),
    (
        "no labels for longer than they take",
        replace(
            with_performance(overdue_days=45.0), storage=replace(STORAGE, labels_at=before(days=46))
        ),
        "yellow",
        "DatathonNoLabels",
        "python -m monitoring.labels import",
    ),
    (
        "no labels at all",
        with_performance(coverage=0.0),
        "yellow",
        "DatathonNoLabels",
        "python -m monitoring.labels import",
    ),
    (
        "old reports",
        with_drift(made_at=before(minutes=61)),
        "yellow",
        "DatathonReportsStale",
        "python -m monitoring.refresh",
    ),
    (
        "a report that cannot be made",
        with_performance(
            status=None, recall=None, problem="labels: damaged", failing_since=before(hours=2)
        ),
        "yellow",
        "DatathonReportsStale",
        "python -m monitoring.refresh",
    ),
    (
        "no reports",
        with_performance(made_at=None, problem="no background report yet"),
        "yellow",
        "DatathonReportsStale",
        "python -m monitoring.refresh",
    ),
    ("no /metrics", replace(WELL, traffic=Traffic(problem="x")), "yellow", None, "curl"),
    ("history", with_standing(history_problem="the chain breaks"), "yellow", None, VERIFY),
    ("denied", with_standing(problem="denied"), "yellow", None, "docker exec"),
    ("configuration", replace(WELL, settings=Settings(problem="x")), "yellow", None, "python -c"),
]


@pytest.mark.parametrize(
    ("facts", "severity", "alert", "command"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG]
)
def test_each_trouble_is_one_finding(
    facts: Facts, severity: str, alert: str | None, command: str
) -> None:
    assert_is_one_finding(facts, severity, alert, command)


def test_every_alert_that_one_look_can_see_has_a_finding() -> None:
    rules = yaml.safe_load((PROJECT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8"))
    alerts = {r["alert"] for group in rules["groups"] for r in group["rules"] if "alert" in r}
    hours = {"DatathonBudgetFast", "DatathonBudgetSlow"}  # rates over hours, which one look has not
    assert {row[3] for row in WRONG} - {None} == alerts - hours


def test_the_worst_comes_first_and_the_cause_before_what_it_causes() -> None:
    facts = replace(
        with_gauges(serving=False),
        health=replace(HEALTH, http_status=503, status="unavailable", reason="nothing loaded"),
        storage=replace(STORAGE, free_bytes=9.9e9),
    )
    traffic = replace(facts.traffic, sample=replace(SAMPLE, server_errors=40.0))
    found = judge(replace(facts, traffic=traffic))
    sections = [finding.section for finding in found]
    assert sections == ["DatathonNoChampion", "DatathonErrors", "DatathonDiskFilling"]
    assert status(found) == "red"


def test_reports_that_the_missing_champion_keeps_from_being_made_are_not_told_again() -> None:
    facts = with_standing(champion=replace(CHAMPION, registered=False))
    drift = replace(DRIFT, status=None, problem="no version v1.1.0", failing_since=before(hours=1))
    (finding,) = judge(replace(facts, drift=drift))
    assert "is not in the model store" in finding.sentence
    assert finding.commands[1:] == (
        'python -m registry rollback --reason "champion gone" --dry-run',
        'python -m registry rollback --reason "champion gone"',
    )


def test_nobody_is_told_to_start_a_service_of_their_own() -> None:
    """`make serve` trains and promotes where nothing was promoted: in the wrong home too."""
    told = [c for _, facts, *_ in WRONG for finding in judge(facts) for c in finding.commands]
    assert not [c for c in told if "make serve" in c or "start.py" in c or "docker start" in c]
    down = judge(DOWN)[0].commands
    assert down == (
        "docker logs --since 1h datathon-api | grep ERROR | tail",
        "docker restart datathon-api",
    )


def test_the_command_for_a_wrong_configuration_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text("wach: {}\n")
    (finding,) = judge(replace(WELL, settings=Settings(problem="x")))
    done = subprocess.run(
        ["bash", "-c", finding.commands[0]],
        cwd=PROJECT,
        env=os.environ
        | {"DATATHON_CONFIGURATION": str(path)}
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert "wach" in done.stdout
    assert done.stdout.count("\n") == 1


def test_errors_of_before_name_the_last_exception() -> None:
    group = ErrorGroup("exception", "ValueError", 3.0, 0.0, before(minutes=2))
    facts = with_total(server_errors=600.0)
    facts = replace(facts, traffic=replace(facts.traffic, errors=(group,)))
    (finding,) = judge(facts)
    assert "last exception 2026-11-22 02:58:00 UTC" in finding.sentence


def test_every_command_of_ours_exists() -> None:
    commands = {c for _, facts, *_ in WRONG for finding in judge(facts) for c in finding.commands}
    modules = {m for c in commands for m in re.findall(r"python -m ([a-z_.]+)", c)}
    assert "monitoring.drift_report" in modules
    for module in modules:
        path = Path(PROJECT, *module.split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
