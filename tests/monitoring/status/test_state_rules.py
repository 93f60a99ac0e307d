"""The wrong state and the full disk: sure before they are said, and then said first."""

from dataclasses import replace

import pytest

from monitoring.status.facts import Facts, Standing
from monitoring.status.judgement import judge
from tests.monitoring.status.situations import (
    CHAMPION,
    STANDING,
    STORAGE,
    TRAFFIC,
    WELL,
    WORKER,
    assert_is_one_finding,
    before,
    with_gauges,
    with_health,
    with_sample,
    with_standing,
)

LOGS = "docker logs --since 1h datathon-api"
VERIFY = "python -m registry verify"

GREEN = {
    "a swap that was over before its worker was looked at": with_standing(
        champion=replace(CHAMPION, generation=3, since=before(seconds=9)),
        workers=(replace(WORKER, generation=3),),
    ),
    "a swap during a long count": replace(
        with_standing(
            champion=replace(CHAMPION, generation=3, since=before(seconds=35)),
            workers=(replace(WORKER, generation=3),),
        ),
        traffic=replace(TRAFFIC, sample_seconds=30.0),
    ),
    "a registry put back to an earlier day, whose workers go on": with_standing(never_had=True),
    "no heartbeat yet": replace(
        with_health(uptime_seconds=5.0), standing=replace(STANDING, workers=())
    ),
}


@pytest.mark.parametrize("facts", GREEN.values(), ids=GREEN.keys())
def test_what_is_over_in_a_moment_is_no_other_state(facts: Facts) -> None:
    assert judge(facts) == ()


WRONG: list[tuple[str, Facts, str, str | None, str]] = [
    # what, facts, severity, alert, how the first command begins
    ("no heartbeat here", with_standing(workers=()), "yellow", None, "tr "),
    (
        "another state, which never had it",
        with_standing(workers=(replace(WORKER, generation=1),), never_had=True),
        "red",
        None,
        "tr ",
    ),
    (
        "another state, which left it",
        with_standing(workers=(), champion=replace(CHAMPION, generation=3)),
        "red",
        None,
        "tr ",
    ),
    (
        "a state that is not there",
        replace(WELL, standing=Standing("/x", exists=False, problem="no /x", never_had=True)),
        "red",
        None,
        "tr ",
    ),
    (
        "the pointer lost, and the heartbeats",
        with_standing(pointer_problem="champion.json is gone", workers=(), never_had=True),
        "red",
        "DatathonDegraded",
        VERIFY,
    ),
    (
        "the state's disk full",
        replace(
            with_standing(full=True, workers=(replace(WORKER, alive=False),)),
            storage=replace(STORAGE, free_bytes=0.0),
        ),
        "red",
        "DatathonDiskFilling",
        "df -h",
    ),
]


@pytest.mark.parametrize(
    ("facts", "severity", "alert", "command"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG]
)
def test_each_trouble_is_one_finding(
    facts: Facts, severity: str, alert: str | None, command: str
) -> None:
    assert_is_one_finding(facts, severity, alert, command)


def test_the_wrong_state_comes_first_and_no_rollback_is_advised_in_it() -> None:
    lately = replace(CHAMPION, generation=9, since=before(hours=1))
    wrong = with_standing(champion=lately, workers=(), never_had=True)
    traffic = with_sample(server_errors=40.0).traffic
    state, errors = judge(replace(wrong, traffic=traffic))
    assert state.sentence.startswith("Your commands act on another state than the service's")
    assert errors.section == "DatathonErrors"
    assert errors.commands == (f"{LOGS} | grep ERROR | tail",)


def test_a_full_disk_comes_before_what_it_causes_and_a_hung_worker_is_told_all_the_same() -> None:
    silent = with_standing(full=True, workers=(replace(WORKER, alive=False),))
    facts = replace(silent, traffic=with_gauges(beat_seconds=40.0).traffic)
    disk, stuck = judge(facts)
    assert "heartbeats cannot be written" in disk.sentence
    assert stuck.sentence == "Stuck: no heartbeat from worker 1"
