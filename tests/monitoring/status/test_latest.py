"""The newest background reports, whole, broken or told by /metrics."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitoring.status import latest, scrape
from monitoring.status.facts import Interval
from registry.state import State
from tests.monitoring.rendering import documents


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "home")


def keep(state: State, kind: str, content: Any) -> None:
    state.latest_reports.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (state.latest_reports / f"{kind}.json").write_text(text)


def test_the_newest_reports_are_read(state: State) -> None:
    keep(state, "drift", documents.drift())
    keep(state, "performance", documents.performance())
    found, recall = latest.drift(state, None), latest.performance(state, None)
    assert (found.status, found.red, found.yellow) == ("red", ("ieg",), ("ips",))
    assert (found.score, found.next_step) == ("red", "fix_data")
    assert found.since == datetime(2026, 11, 19, tzinfo=UTC)
    assert found.estimated == Interval(0.68, 0.64, 0.72)
    assert recall.recall == Interval(0.66, 0.606, 0.714)
    assert (recall.floor, recall.overdue_days) == (0.7, 120)


def test_a_report_of_an_earlier_release_says_not_when_labels_are_overdue(state: State) -> None:
    content = documents.performance()
    del content["labels"]["overdue_days"]
    keep(state, "performance", content)
    found = latest.performance(state, None)
    assert (found.status, found.overdue_days) == ("yellow", None)


def test_a_report_that_had_no_data_says_so(state: State) -> None:
    keep(state, "drift", {"kind": "drift", "made_at": "2026-11-22T10:00:00Z", "problem": "no row"})
    found = latest.drift(state, None)
    assert (found.problem, found.status) == ("no row", None)
    assert found.made_at == datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "since"),
    [
        ({"expected": True}, None),
        ({}, None),  # of an earlier release
        ({"expected": False}, datetime(2026, 11, 22, 10, tzinfo=UTC)),
        (
            {"expected": False, "failing_since": "2026-11-22T07:00:00Z"},
            datetime(2026, 11, 22, 7, tzinfo=UTC),
        ),
    ],
)
def test_a_report_that_cannot_be_made_says_since_when(
    state: State, said: dict[str, Any], since: datetime | None
) -> None:
    made = {"made_at": "2026-11-22T10:00:00Z", "problem": "damaged"}
    for kind in ("drift", "performance"):
        keep(state, kind, {"kind": kind} | made | said)
    assert latest.drift(state, None).failing_since == since
    assert latest.performance(state, None).failing_since == since


NO_REPORTS = ["", "[]", "null", "{}", '{"kind": "drift"}', "[" * 100_000, '{"problem": "x"}']


@pytest.mark.parametrize("text", NO_REPORTS, ids=range(len(NO_REPORTS)))
def test_what_is_no_report_is_said_to_be_none(state: State, text: str) -> None:
    keep(state, "drift", text)
    keep(state, "performance", text)
    assert "not a report" in (latest.drift(state, None).problem or "")
    assert "not a report" in (latest.performance(state, None).problem or "")


@pytest.mark.parametrize("place", ["status", "score", "features", "made_at", "causes", "estimate"])
def test_a_report_with_a_hole_is_none(state: State, place: str) -> None:
    content = documents.drift()
    keep(state, "drift", {key: value for key, value in content.items() if key != place})
    assert "not a report" in (latest.drift(state, None).problem or "")
    keep(state, "drift", content | {place: 4})
    assert "not a report" in (latest.drift(state, None).problem or "")


REPORTED = """
datathon_report_timestamp_seconds{kind="drift",model="m",model_version="v1.0.0"} 1795341601
datathon_report_timestamp_seconds{kind="performance",model="m",model_version="v1.0.0"} 1795341602
datathon_report_status{kind="drift",model="m",model_version="v1.0.0"} 2
datathon_report_status{kind="performance",model="m",model_version="v1.0.0"} 1
datathon_drift_status{kind="drift",model="m",model_version="v1.0.0",feature="inde"} 2
datathon_drift_status{kind="drift",model="m",model_version="v1.0.0",feature="ipv"} 1
datathon_drift_status{kind="drift",model="m",model_version="v1.0.0",feature="score"} 0
datathon_estimated_recall{kind="drift",model="m",model_version="v1.0.0"} 0.75
datathon_recall{kind="performance",model="m",model_version="v1.0.0"} 0.66
datathon_recall_low{kind="performance",model="m",model_version="v1.0.0"} 0.6
datathon_recall_high{kind="performance",model="m",model_version="v1.0.0"} 0.72
datathon_recall_floor{kind="performance",model="m",model_version="v1.0.0"} 0.7
datathon_label_coverage{kind="performance",model="m",model_version="v1.0.0"} 0.9
datathon_labelled_rows{kind="performance",model="m",model_version="v1.0.0"} 450
datathon_label_overdue_seconds{kind="performance",model="m",model_version="v1.0.0"} 34128000
"""


def test_where_the_files_are_elsewhere_the_metrics_tell(state: State) -> None:
    scraped = scrape.parse(REPORTED)
    found, recall = latest.drift(state, scraped), latest.performance(state, scraped)
    # 2026-11-22T10:00:01Z, by `date -u -d ... +%s`
    assert found.made_at == datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
    assert (found.version, found.status, found.source) == ("v1.0.0", "red", "/metrics")
    assert (found.red, found.yellow, found.score) == (("inde",), ("ipv",), "green")
    assert found.estimated == Interval(0.75)
    assert (recall.status, recall.recall) == ("yellow", Interval(0.66, 0.6, 0.72))
    assert (recall.floor, recall.coverage, recall.labelled) == (0.7, 0.9, 450)
    assert recall.overdue_days == 395


def test_where_the_files_are_elsewhere_the_metrics_tell_of_a_report_that_cannot_be_made(
    state: State,
) -> None:
    lines = [line for line in REPORTED.splitlines() if 'kind="performance"' not in line]
    failing = 'datathon_report_failing_timestamp_seconds{kind="performance"} 1795341601'
    scraped = scrape.parse("\n".join([*lines, failing]) + "\n")
    recall = latest.performance(state, scraped)
    assert recall.failing_since == datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
    assert latest.drift(state, scraped).failing_since is None
