"""The command on real homes: versions that it registered itself, logs, labels and signals."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from registry import pointer
from tests.training.logged import import_labels, loans_of, log
from tests.training.places import Place, rows
from tests.training.tiny import content, table
from training import retraining
from training.errors import ContractError, Violation
from training.retrain import main

pytestmark = pytest.mark.long

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def compared(place: Place, capsys: Capture) -> Callable[..., dict[str, Any]]:
    """Run a dry run, which ends as its verdict says; its document."""

    def run(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        code = main(["--new_version", "v1.2.0", "--dry_run", "--json", *arguments])
        document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
        assert code == {"pass": 0, "fail": 4, "undecided": 4}[document["verdict"]["status"]]
        return dict(document)

    return run


def test_a_first_version_is_judged_alone_and_forced_with_its_reason(made: dict[str, Any]) -> None:
    code, out, err = made["first"]
    assert (code, err) == (0, "")
    assert "There is no champion yet" in out
    assert "The guardrails fail" in out  # it ranks upside down
    assert "Promoted: loans: no champion → v1.0.0" in out
    (first, _) = pointer.events(made["place"].state)
    assert first["reason"] == "a first one"
    assert first["verdict"]["forced"] is True


def test_a_better_challenger_is_worth_it_and_promoted(made: dict[str, Any]) -> None:
    code, out, err = made["second"]
    assert code == 0, err
    document = json.loads(out)
    assert (document["answer"], document["verdict"]["status"]) == ("yes", "pass")
    assert document["gain"]["differences"]["pr_auc"]["low"] > 0
    assert document["next_step"] == "done"
    champion = pointer.required(made["place"].state)
    assert champion.version == "v1.1.0"
    assert champion.event["verdict"]["status"] == "pass"
    assert champion.event["reason"].startswith("retrained: PR-AUC +")
    for step in ("compare logistic_regression", "register loans:v1.1.0", "promote loans:v1.1.0"):
        assert step in err


def test_the_comparison_is_kept_as_json_and_as_a_page(made: dict[str, Any]) -> None:
    place: Place = made["place"]
    (first_page, first_json, page, text) = sorted(
        place.reports(), key=lambda path: (path.name.split("-v1.")[1][0], path.suffix)
    )
    assert json.loads(text.read_bytes()) == json.loads(made["second"][1])
    assert page.with_suffix(".json") == text
    assert page.with_suffix("").name.startswith("comparison-v1.1.0-")
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "http" not in html.replace('http-equiv="Content-Security-Policy"', "")
    assert html.count('class="line champion"') == html.count('class="line challenger"') == 3
    assert 'class="line challenger"' in first_page.read_text(encoding="utf-8")
    assert json.loads(first_json.read_bytes())["answer"] == "first"


def test_the_artefacts_leave_nothing_behind(made: dict[str, Any]) -> None:
    place: Place = made["place"]
    assert list(place.temporary.iterdir()) == []
    assert list(place.state.staging.iterdir()) == []
    assert place.versions() == ["v1.0.0", "v1.1.0"]


def test_a_dry_run_compares_and_changes_nothing(
    place: Place, made: dict[str, Any], compared: Callable[..., dict[str, Any]]
) -> None:
    before = place.files()
    document = compared("--data", str(made["good"]))
    assert place.files() == before
    assert (document["registered"], document["dry_run"]) == (False, True)
    assert document["verdict"]["champion"] == "v1.1.0"
    # The same rows make the same model again, so there is nothing to gain, for certain.
    assert document["gain"]["differences"]["pr_auc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert (document["answer"], document["next_step"]) == ("no", "keep")


def test_a_champion_that_was_fitted_on_the_rows_is_told_of(
    place: Place, compared: Callable[..., dict[str, Any]]
) -> None:
    again = rows(place.folder, "again.csv", months=(9, 10), seed=4)
    document = compared("--data", str(again))
    assert document["held_out"]["champion_may_know_them"] is True
    assert document["answer"] != "no"


def test_another_models_champion_is_nothing_to_compare_with(
    place: Place, made: dict[str, Any], compared: Callable[..., dict[str, Any]]
) -> None:
    settings = content()
    settings["model"]["name"] = "other"
    other = place.folder / "other.yaml"
    other.write_text(yaml.safe_dump(settings))
    document = compared("--data", str(made["good"]), "--configuration", str(other))
    assert (document["model"], document["answer"]) == ("other", "not_comparable")
    assert document["verdict"]["status"] == "undecided"
    assert "of loans, another model" in document["problem"]


def test_a_champion_that_needs_what_the_rows_lack_cannot_be_compared(
    place: Place, made: dict[str, Any], compared: Callable[..., dict[str, Any]]
) -> None:
    settings = content()
    features = {name: facts for name, facts in settings["features"].items() if name != "region"}
    settings["features"] = features
    fewer = place.folder / "fewer.yaml"
    fewer.write_text(yaml.safe_dump(settings))
    document = compared("--data", str(made["good"]), "--configuration", str(fewer))
    assert document["answer"] == "not_comparable"
    assert "region" in document["problem"]
    assert document["models"]["champion"] is None


def test_logged_rows_with_their_labels_train_a_challenger(
    place: Place, compared: Callable[..., dict[str, Any]]
) -> None:
    frame = table(900, months=(12, 13), seed=9)
    log(place.state, loans_of(frame, datetime(2025, 3, 1, tzinfo=UTC)), "v1.1.0")
    known = frame[frame["unpaid"].notna()]
    once = known.drop_duplicates(["customer", "month"], keep=False)
    labels = [f"{r.customer},{r.month},{r.unpaid}" for r in once.itertuples()]
    import_labels(place.folder, "entity_id,period,label", *labels, "stranger,12,1")
    # All of an entity's predictions of a month have the label of that month.
    keys = set(zip(once["customer"], once["month"], strict=True))
    met = sum(key in keys for key in zip(frame["customer"], frame["month"], strict=True))
    document = compared("--labels_from_log")
    data = document["data"]
    assert (data["predictions"], data["labelled"], data["rows"]) == (900, met, len(once))
    assert (data["older"], data["labels_without_prediction"]) == (met - len(once), 1)
    assert document["training"]["fitted_periods"] == [12]
    assert document["training"]["fitted_rows"] == int((once["month"] == 12).sum())
    assert document["held_out"]["rows"] == int((once["month"] == 13).sum())
    assert document["gain"] is not None

    file = place.folder / "more.csv"
    frame[frame["month"] == 12].to_csv(file, index=False)
    both = compared("--labels_from_log", "--data", str(file))
    labelled = set(zip(known["customer"], known["month"], strict=True))
    in_both = {key for key in keys & labelled if key[1] == 12}
    assert both["data"]["parts"][1]["in_the_file"] == len(in_both)
    assert both["held_out"]["rows"] == document["held_out"]["rows"]
    assert both["training"]["fitted_rows"] == int((known["month"] == 12).sum())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--data", "rows.csv"], 1, "v1.1.0 is registered already"),
        (["--new-version", "v1.1", "--data", "rows.csv"], 2, "vX.Y.Z"),
        (["--new-version", "v2.0.0"], 2, "--data FILE, --labels-from-log, or both"),
        (["--new-version", "v2.0.0", "--data", "no.csv"], 2, "no.csv: No such file"),
        (["--new-version", "v2.0.0", "--data", "rows.txt"], 2, ".csv, .parquet or .xlsx"),
        (["--new-version", "v2.0.0", "--data", "none.csv"], 3, "one class only"),
        (["--new-version", "v2.0.0", "--labels-from-log"], 3, "no row has a label"),
        (["--new-version", "v2.0.0", "--data", "rows.csv", "--force"], 2, "--promote"),
        (["--new-version", "v2.0.0", "--data", "rows.csv", "--reason", "x"], 2, "--promote"),
        (
            ["--new-version", "v2.0.0", "--data", "rows.csv", "--promote", "--force"],
            2,
            "say why with --reason",
        ),
        (
            ["--new-version", "v2.0.0", "--data", "rows.csv", "--configuration", "no.yaml"],
            2,
            "no.yaml",
        ),
    ],
)
def test_a_wrong_call_is_one_line_before_any_work(
    place: Place, capsys: Capture, arguments: list[str], code: int, words: str
) -> None:
    rows(place.folder, "rows.csv")
    table(60).assign(unpaid=0).to_csv("none.csv", index=False)
    before = place.files()
    given = [] if "--new-version" in arguments else ["--new_version", "v1.1.0"]
    capsys.readouterr()
    assert main([*given, *arguments]) == code
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert "compare logistic_regression" not in printed.out
    assert place.files() == before


def test_every_violation_of_the_contract_is_named(place: Place, capsys: Capture) -> None:
    frame = pd.read_csv(rows(place.folder, "rows.csv"))
    frame.loc[[3, 5], "income"] = [-1.0, np.nan]
    frame.to_csv("rows.csv", index=False)
    assert main(["--new_version", "v2.0.0", "--data", "rows.csv"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert {line.split(":")[1].strip() for line in lines[:2]} == {
        "line 5, column income",
        "line 7, column income",
    }
    assert "nothing was trained" in lines[2]
    assert "v2.0.0" not in place.versions()


def test_a_home_that_cannot_be_made_is_told_before_training(
    place: Place, capsys: Capture, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(place.configuration / "home"))
    assert main(["--new_version", "v2.0.0", "--data", str(made["good"])]) == 2
    printed = capsys.readouterr()
    assert "cannot be written" in printed.err
    assert printed.out == ""


def test_a_comparison_that_cannot_be_written_does_not_hide_the_version(
    place: Place, capsys: Capture
) -> None:
    shutil.rmtree(place.state.reports)
    place.state.reports.write_text("in the way")
    data = rows(place.folder, "rows.csv", count=400)
    assert main(["--new_version", "v2.0.0", "--data", str(data)]) == 1
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert "reports" in printed.err
    assert "v2.0.0 is registered as a challenger" in " ".join(printed.out.split())


def test_a_full_disk_in_the_promote_does_not_hide_the_version(
    place: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pointer, "replace_file", full)
    before = place.state.champion.read_bytes()
    data = rows(place.folder, "rows.csv", count=400)
    forced = ["--promote", "--force", "--reason", "drill"]
    assert main(["--new_version", "v2.0.0", "--data", str(data), *forced]) == 1
    printed = capsys.readouterr()
    told = " ".join(printed.out.split())
    assert "v2.0.0 is registered as a challenger and was not promoted" in told
    assert "No space left on device" in told
    assert printed.err == ""
    assert place.state.champion.read_bytes() == before
    (kept,) = place.state.reports.glob("comparison-v2.0.0-*.json")
    document = json.loads(kept.read_bytes())
    assert (document["registered"], document["promotion"]["done"]) == (True, False)


def test_violations_of_rows_that_came_from_no_file_are_listed(
    place: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise ContractError([Violation(row, "income", -1, "at least 0") for row in range(50)])

    monkeypatch.setattr(retraining, "run", broken)
    assert main(["--new_version", "v2.0.0", "--labels-from-log"]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1] == "error: all of them are in log-violations.csv"
    )
    assert len((place.folder / "log-violations.csv").read_text().splitlines()) == 51
