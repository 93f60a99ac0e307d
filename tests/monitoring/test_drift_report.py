"""The command on a real version and a log written by the log's own writer: what it names, since
when, and that it says nothing where nothing changed."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.state import State
from tests.monitoring.streams import START, load, log_rows, spread
from tests.server import command
from tests.service.rows import cohort_rows
from training.cohort_faults import STUCK_INDE

WEEK = ("--from", "2026-03-02", "--to", "2026-03-08")
GOOD, BAD = 400, 300
ONSET = START + timedelta(days=4)

Document = dict[str, Any]


def report(home: Path, *arguments: str, check: bool = False) -> tuple[int, Document]:
    done = command(home, "monitoring.drift_report", *WEEK, "--json", *arguments, check=check)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def log_week(home: Path, drift: str) -> list[dict[str, Any]]:
    """Four days of ordinary rows and three of drifted ones."""
    rows = cohort_rows(GOOD, seed=1) + cohort_rows(BAD, drift=drift, seed=2)
    log_rows(home, load(home), rows, spread(GOOD, 4) + spread(BAD, 3, ONSET))
    return rows


def first_that(rows: Sequence[Mapping[str, Any]], shows: Any) -> tuple[str, float]:
    """The request of the first bad row that shows it, and the share of bad rows that do."""
    hits = [at for at in range(GOOD, GOOD + BAD) if shows(rows[at])]
    return f"r-{hits[0]}", len(hits) / BAD


def test_each_data_bug_is_named_with_its_evidence(home: Path) -> None:
    rows = log_week(home, "bug")
    code, document = report(home)
    assert (code, document["status"], document["next_step"]) == (20, "red", "fix_data")
    causes = {cause["feature"]: cause for cause in document["causes"]}
    assert {name: cause["kind"] for name, cause in causes.items()} == {
        "nota_mat": "factor",
        "inde": "stuck",
        "ipv": "nulls",
        "instituicao": "unseen",
    }
    assert causes["nota_mat"]["detail"] == {"factor": 0.1}
    assert causes["inde"]["detail"] == {"value": pytest.approx(STUCK_INDE, abs=1e-6)}
    shows = {
        "inde": lambda row: row["inde"] == STUCK_INDE,
        "ipv": lambda row: row["ipv"] is None,
        "instituicao": lambda row: row["instituicao"].isupper(),
    }
    for name, rule in shows.items():
        request, share = first_that(rows, rule)
        assert causes[name]["first_request"] == request
        assert causes[name]["share"] == pytest.approx(share)
    for cause in causes.values():
        assert cause["is_bug"]
        assert cause["since"] == ONSET.isoformat()
        assert cause["since_is"] == "hour"


@pytest.mark.parametrize("bad", [60, 25])
def test_a_bug_of_the_last_hours_is_named_though_the_week_hides_it(home: Path, bad: int) -> None:
    rows = cohort_rows(700, seed=1) + cohort_rows(bad, drift="bug", seed=2)
    start = START + timedelta(days=6, hours=18)
    log_rows(home, load(home), rows, spread(700, 6.75) + spread(bad, 0.25, start))
    code, document = report(home)
    assert (code in (10, 20), document["next_step"]) == (True, "fix_data")
    causes = {cause["feature"]: cause for cause in document["causes"]}
    assert {"inde", "nota_mat", "ipv", "instituicao"} >= set(causes) >= {"inde", "nota_mat"}
    for cause in causes.values():
        assert cause["since"] == start.isoformat()


def test_an_alarm_outlives_what_cannot_be_sent(home: Path) -> None:
    log_week(home, "bug")
    done = command(
        home, "monitoring.drift_report", *WEEK, "--push", "http://127.0.0.1:9", check=False
    )
    assert done.returncode == 20
    assert "RED" in done.stdout
    assert done.stderr.startswith("error: ")


def test_an_alarm_that_was_not_kept_is_shown_and_is_an_error(home: Path) -> None:
    log_week(home, "bug")
    reports = State(home).reports
    reports.write_text("no folder")
    done = command(home, "monitoring.drift_report", *WEEK, check=False)
    assert done.returncode == 1
    assert "RED" in done.stdout
    assert done.stderr.startswith(f"error: {reports}")
    assert len(done.stderr.splitlines()) == 1


def test_a_week_without_drift_is_green_and_names_nothing(home: Path) -> None:
    log_week(home, "none")
    code, document = report(home)
    assert (code, document["status"], document["next_step"]) == (0, "green", "nothing")
    assert document["causes"] == []
    assert document["multivariate"]["status"] == "green"
    assert [day["rows"] for day in document["days"]] == [100] * 7


def test_another_population_is_no_bug_and_dated_to_the_day(home: Path) -> None:
    log_week(home, "population")
    code, document = report(home)
    assert code in (10, 20)
    assert document["next_step"] != "fix_data"
    assert {cause["kind"] for cause in document["causes"]} == {"population"}
    oldest = document["causes"][0]
    assert oldest["since"] == ONSET.isoformat()
    moved = [cause["score_moved"] for cause in document["causes"]]
    assert moved == sorted(moved, reverse=True)


def test_the_estimate_and_the_shift_are_those_of_the_scores(home: Path) -> None:
    rows = log_week(home, "none")
    version = load(home)
    _, document = report(home)
    valid = version.validator.validate(rows)
    scores = version.scorer.score([row.values for row in valid])
    shift = document["score_shift"]
    assert shift["mean_now"] == pytest.approx(scores.mean())
    assert shift["flagged_now"] == pytest.approx(np.mean(scores >= version.threshold))
    recall = document["estimate"]["metrics"]["recall"]
    assert recall["low"] < recall["value"] < recall["high"]
    assert document["estimate"]["training"]["recall"] == version.metrics["metrics"]["recall"]


def test_json_and_page_are_kept_and_by_day_is_shown(home: Path) -> None:
    log_week(home, "bug")
    done = command(
        home, "monitoring.drift_report", *WEEK, "--by", "day", "--lang", "pt", check=False
    )
    assert done.returncode == 20, done.stderr
    shown = {line[:10] for line in done.stdout.splitlines()}
    assert shown >= {f"2026-03-{day:02d}" for day in range(2, 9)}
    written = {path.suffix: path for path in State(home).reports.iterdir()}
    assert set(written) == {".json", ".html"}
    assert json.loads(written[".json"].read_text())["status"] == "red"
    page = written[".html"].read_text(encoding="utf-8")
    assert re.search(r'<html[^>]*lang="pt', page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_version_that_keeps_no_scores_or_rows_is_still_watched(home: Path) -> None:
    log_week(home, "bug")
    folder = home / "models" / "defasagem-risk" / "v1.0.0"
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("calibration.json", "reference_rows.json"):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    code, document = report(home)
    assert code == 20
    assert document["estimate"] is None
    assert document["multivariate"] is None


def test_few_rows_have_no_colour(home: Path) -> None:
    rows = cohort_rows(12, drift="bug", seed=3)
    log_rows(home, load(home), rows, spread(12, 1))
    code, document = report(home)
    assert (code, document["status"], document["next_step"]) == (3, "inconclusive", "more_rows")
    assert {feature["status"] for feature in document["features"]} == {"inconclusive"}


def test_a_report_is_of_one_version_and_counts_the_others(home: Path) -> None:
    log_rows(home, load(home), cohort_rows(60, seed=4), spread(60, 7))
    log_rows(home, load(home, "v1.1.0"), cohort_rows(50, seed=5), spread(50, 7))
    _, document = report(home, "--model_version", "v1.1.0")
    assert document["rows"] == 50
    assert document["log"]["rows_of_other_versions"] == 60


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "2026-03-05", "--to", "2026-03-04"], 2, "empty"),
        (["--from", "2026-03-05", "--last-n-days", "3"], 2, "not both"),
        (["--from", "yesterday"], 2, "2026-11-20"),
        (["--last-n-days", "-1"], 2, "above 0"),
        (["--last_n_days", "1"], 3, "no prediction of v1.0.0"),
        (["--model_version", "v9.9.9"], 3, "v9.9.9"),
        (["--textfile", "drift.txt", *WEEK], 2, ".prom"),
        (["--textfile", "/nowhere/x.prom", *WEEK], 2, "/nowhere is no folder"),
        (["--textfile", "/proc/x.prom", *WEEK], 1, "/proc/"),
        (["--push", "banana", *WEEK], 2, "http://host:port"),
        (["--push", "http://127.0.0.1:9", *WEEK], 1, "127.0.0.1:9"),
        (["--to", "9999-12-31", "--from", "2027-01-01"], 2, "empty"),
    ],
)
def test_a_wrong_call_is_one_line(home: Path, arguments: list[str], code: int, words: str) -> None:
    log_rows(home, load(home), cohort_rows(150, seed=5), spread(150, 7))
    done = command(home, "monitoring.drift_report", *arguments, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 or done.stderr.startswith("usage:")


def test_a_date_as_the_end_means_all_of_it(home: Path) -> None:
    moments = [datetime.fromisoformat(f"2026-03-08T23:59:59.{n:06d}+00:00") for n in range(30)]
    log_rows(home, load(home), cohort_rows(30, seed=4), moments)
    _, document = report(home)
    assert document["rows"] == 30
    assert document["end"] == "2026-03-09T00:00:00+00:00"
