"""When a version is blamed: trouble soon after its promote, and nothing else to explain it."""

from dataclasses import replace

import pytest

from monitoring.status.facts import Facts, Rollback, Standing
from monitoring.status.judgement import judge
from tests.monitoring.status.situations import (
    LATELY,
    NEW_STANDING,
    slow,
    with_drift,
    with_sample,
    with_worker,
)

DRY_RUN = 'python -m registry rollback --reason "5xx alto" --dry-run'

SUSPECTS = {
    "5xx": (with_sample(server_errors=8.0), DRY_RUN),
    "slow": (slow(0.6), 'python -m registry rollback --reason "p95 alto" --dry-run'),
    "score": (
        with_drift(status="red", score="red", next_step="roll_back_check"),
        'python -m registry rollback --reason "score mudou" --dry-run',
    ),
    "cannot load": (
        with_worker(problem="golden scores differ"),
        'python -m registry rollback --reason "worker degraded" --dry-run',
    ),
}


@pytest.mark.parametrize(("facts", "command"), SUSPECTS.values(), ids=SUSPECTS.keys())
def test_after_a_recent_promote_the_rollback_comes_first(facts: Facts, command: str) -> None:
    standing = replace(facts.standing, champion=NEW_STANDING.champion)
    (finding,) = judge(replace(facts, standing=standing))
    assert finding.commands[:2] == (command, command.removesuffix(" --dry-run"))
    (old,) = judge(facts)
    assert "rollback" not in old.commands[0]


def test_the_rollback_says_since_when_the_suspect_serves() -> None:
    (finding,) = judge(replace(with_sample(server_errors=8.0), standing=NEW_STANDING))
    assert "20.0% of requests answer 5xx (8 of 40)" in finding.sentence
    assert "v1.1.0 was promoted only 40 min ago (2026-11-22 02:20 UTC)" in finding.sentence


NO_WAY_BACK = {
    "nothing before it": replace(NEW_STANDING, rollback=None),
    "deleted from the store": replace(NEW_STANDING, rollback=Rollback("v1.0.0", 0, False)),
    "rolled back to": replace(NEW_STANDING, champion=replace(LATELY, action="rollback")),
}


@pytest.mark.parametrize("standing", NO_WAY_BACK.values(), ids=NO_WAY_BACK.keys())
def test_no_rollback_is_advised_where_there_is_no_way_back(standing: Standing) -> None:
    (finding,) = judge(replace(with_sample(server_errors=8.0), standing=standing))
    assert not [command for command in finding.commands if "rollback" in command]


def test_a_version_is_not_blamed_for_a_full_disk() -> None:
    facts = replace(with_sample(server_errors=8.0, log_failures=8.0), standing=NEW_STANDING)
    found = judge(facts)
    assert [one.section for one in found] == ["DatathonLogFailing", "DatathonErrors"]
    assert not [c for one in found for c in one.commands if "rollback" in c]


def test_a_data_bug_is_not_rolled_back() -> None:
    bug = with_drift(status="red", score="red", red=("inde",), next_step="fix_data")
    (finding,) = judge(replace(bug, standing=NEW_STANDING))
    assert finding.commands[0].startswith("python -m monitoring.drift_report")
    assert "data bug" in finding.sentence
