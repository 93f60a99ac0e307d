"""Times, verdicts and exit codes of drills, without a drill."""

import pytest

from monitoring.drills import rendering
from monitoring.drills.timeline import Command, Stage, StageName, Timeline, exit_code, tally


def timeline(**changes: object) -> Timeline:
    facts: dict[str, object] = {
        "drill": "5xx",
        "fault": "it raises",
        "alert": "DatathonErrors",
        "companions": frozenset({"DatathonBudgetFast"}),
        "stages": (
            Stage("start", -3.0, {"200": 12}),
            Stage("fault", 0.0, {"200": 4}),
            Stage("alert", 8.25, {"200": 30, "500": 19, "none": 1}),
            Stage("diagnosis", 12.5, {"200": 20}),
            Stage("recovery", 14.0, {"200": 9}),
            Stage("resolution", 17.0, {"200": 18}),
        ),
        "commands": (
            Command("fault", "python -m registry promote", 5.0, 0),
            Command("diagnosis", "python -m monitoring.status", 1.25, 20),
            Command("recovery", "python -m registry rollback", 0.5, 0),
        ),
        "fired": ("DatathonErrors",),
        "told": ("DatathonErrors",),
    }
    return Timeline(**(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [("fault", 0.0), ("alert", 8.25), ("recovery", 14.0), ("resolution", 17.0)],
)
def test_a_stage_is_told_by_the_seconds_since_the_fault(stage: StageName, seconds: float) -> None:
    assert timeline().at(stage) == seconds


def test_what_was_not_reached_has_no_time_and_is_null_in_the_document() -> None:
    short = timeline(stages=timeline().stages[:3], failed_stage="diagnosis", problem="no status")
    assert short.at("recovery") is None
    content = short.to_dict()
    assert content["seconds"]["recovery"] is None
    assert (content["outcome"], content["failed_stage"]) == ("failed", "diagnosis")


def test_only_commands_between_alert_and_recovery_count() -> None:
    assert timeline().command_seconds() == 1.75  # 1.25 + 0.5, without the 5.0 of the fault


def test_requests_that_got_no_answer_failed_too() -> None:
    (alert,) = (stage for stage in timeline().stages if stage.name == "alert")
    assert (alert.requests, alert.failed) == (50, 20)


@pytest.mark.parametrize(
    ("fired", "unexpected"),
    [
        (("DatathonErrors",), ()),
        (("DatathonBudgetFast", "DatathonErrors"), ()),
        (("DatathonErrors", "DatathonDown"), ("DatathonDown",)),
    ],
)
def test_an_alert_that_is_no_companion_is_unexpected(
    fired: tuple[str, ...], unexpected: tuple[str, ...]
) -> None:
    assert timeline(fired=fired).unexpected == unexpected


def test_answers_are_counted_by_status() -> None:
    assert tally([200, 500, 0, 200]) == {"200": 2, "500": 1, "none": 1}


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ({}, 0),
        ({"problem": "no root", "impossible": True}, 3),
        ({"problem": "no alert", "failed_stage": "alert"}, 1),
    ],
)
def test_one_drill_that_did_not_recover_decides_the_exit_code(
    others: dict[str, object], code: int
) -> None:
    assert exit_code([timeline(), timeline(**others), timeline()]) == code


def test_a_failure_is_worse_than_what_cannot_be_drilled() -> None:
    impossible = timeline(problem="no root", impossible=True)
    assert exit_code([impossible, timeline(problem="no alert"), impossible]) == 1


def test_a_person_is_told_which_stage_failed(capsys: pytest.CaptureFixture[str]) -> None:
    rendering.show(timeline(failed_stage="recovery", problem="requests still fail after 40 s"))
    said = capsys.readouterr().out
    assert "NOT RECOVERED, stage recovery: requests still fail after 40 s" in said


def test_a_person_is_told_which_other_alerts_were_silenced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fired = ("DatathonBudgetFast", "DatathonDown", "DatathonErrors")
    told = ("DatathonDown", "DatathonErrors")
    rendering.show(timeline(fired=fired, told=told))
    said = capsys.readouterr().out
    assert "beside DatathonErrors: DatathonBudgetFast (silenced), DatathonDown\n" in said
    assert timeline(fired=fired, told=told).to_dict()["told"] == list(told)


def test_the_table_shows_every_drill_with_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    rendering.summary([timeline(), timeline(drill="drift", stages=(), problem="x")])
    said = capsys.readouterr().out
    for words in ("5xx", "8.2 s", "14.0 s", "20 of 113", "drift ✗", "–"):
        assert words in said, words
