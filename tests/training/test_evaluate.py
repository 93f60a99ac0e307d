"""A registered version on labelled rows, through the command line and against scikit-learn."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from monitoring.statistics import psi
from registry import configuration as registry_configuration
from registry import serialization
from registry.register import register
from registry.state import State
from tests.training.tiny import table, write_configuration
from training import train
from training.data import hold
from training.errors import TrainingError
from training.evaluate import main, read_version, run

FEATURES = ["income", "age", "region", "shop", "debt"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BENTOML_HOME with loans:v1.0.0, trained on months 9 and 10 of table(400), and its files."""
    home = tmp_path_factory.mktemp("home")
    table(400).to_parquet(home / "rows.parquet")
    settings = write_configuration(home / "loans.yaml")
    call = ["--data", str(home / "rows.parquet"), "--configuration", str(settings)]
    assert train.main([*call, "--output", str(home / "artifacts")]) == 0
    artifacts = home / "artifacts"
    register(State(home), artifacts=artifacts, version="v1.0.0", configuration=settings)
    return home


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration in force stays the project's own, which knows nothing of loans."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.delenv(registry_configuration.FILE_VARIABLE, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """Months 11, 12 and 13: as before, with incomes of half, without any label."""
    frame = table(600, months=(11, 12, 13), seed=4)
    frame.loc[frame["month"] == 12, "income"] /= 2
    frame.loc[frame["month"] == 13, "unpaid"] = pd.NA
    frame.to_csv(tmp_path / "later.csv", index=False)
    return tmp_path / "later.csv"


def evaluated(
    data: Path, capsys: pytest.CaptureFixture[str], *flags: str
) -> dict[Any, dict[str, Any]]:
    """What --json prints, by period."""
    assert main(["--model_version", "v1.0.0", "--data", str(data), "--json", *flags]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["model"], printed["model_version"]) == ("loans", "v1.0.0")
    return {part["period"]: part for part in printed["slices"]}


def refused(capsys: pytest.CaptureFixture[str], code: int, *flags: str) -> str:
    """The one line on stderr of a call that ends with `code`."""
    assert main(list(flags)) == code
    out, err = capsys.readouterr()
    (line,) = err.strip().splitlines()
    assert out == ""
    return str(line)


def scored(home: Path, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Scores by the stored pipeline itself, on a frame built here."""
    pipeline = serialization.load((home / "artifacts" / "pipeline.skops").read_bytes())
    columns = frame[FEATURES].assign(age=frame["age"].astype(float))
    for name in ("region", "shop"):
        texts = columns[name].astype(object)
        columns[name] = texts.where(texts.notna(), None)
    return np.asarray(pipeline.predict_proba(columns)[:, 1])


def test_the_metrics_of_each_period_are_those_of_scikit_learn(
    home: Path, later: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = evaluated(later, capsys, "--by_period")
    assert list(slices) == [11, 12, 13, None]
    threshold = json.loads((home / "artifacts" / "model.json").read_bytes())["threshold"]
    frame = pd.read_csv(later, dtype={"shop": str})
    frame["score"] = scored(home, frame)
    for period, part in slices.items():
        rows = frame if period is None else frame[frame["month"] == period]
        assert part["rows"] == len(rows)
        known = rows.dropna(subset="unpaid")
        if known.empty:
            continue
        flags = known["score"] >= threshold
        found = {name: value["value"] for name, value in part["evaluation"]["metrics"].items()}
        given = {
            "recall": reference.recall_score(known["unpaid"], flags),
            "precision": reference.precision_score(known["unpaid"], flags),
            "pr_auc": reference.average_precision_score(known["unpaid"], known["score"]),
            "roc_auc": reference.roc_auc_score(known["unpaid"], known["score"]),
            "brier": reference.brier_score_loss(known["unpaid"], known["score"]),
        }
        assert {name: found[name] for name in given} == pytest.approx(given, abs=1e-6)
        assert part["evaluation"]["rows"] == len(known)
        assert part["evaluation"]["flagged"] == flags.sum()
        everyone = part["flag_everyone"]["metrics"]
        assert everyone["recall"]["value"] == 1
        assert everyone["precision"]["value"] == pytest.approx(known["unpaid"].mean(), abs=1e-6)


def test_rows_without_a_label_count_for_drift_only(
    later: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = evaluated(later, capsys, "--by-period")
    assert slices[13]["rows"] > 100
    assert slices[13]["evaluation"] is None
    assert slices[13]["flag_everyone"] is None
    assert slices[13]["drift"]["psi"].keys() == {*FEATURES, "score"}
    assert slices[None]["rows"] == 600
    assert (
        slices[None]["evaluation"]["rows"]
        == slices[11]["evaluation"]["rows"] + (slices[12]["evaluation"]["rows"])
    )


def test_drift_is_found_in_the_period_that_has_it(
    home: Path, later: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = evaluated(later, capsys, "--by-period")
    income = {period: part["drift"]["psi"]["income"] for period, part in slices.items()}
    assert (income[11]["status"], income[12]["status"]) != ("red", "red")
    assert income[12]["status"] == slices[12]["drift"]["status"] == "red"
    profile = json.loads((home / "artifacts" / "reference.json").read_bytes())["features"][0]
    rows = pd.read_csv(later).query("month == 12")["income"].astype(np.float32)
    edges = [-np.inf, *profile["bins"]["edges"], np.inf]
    counts = [*np.histogram(rows, np.array(edges, dtype=np.float32))[0], 0]
    assert income[12]["psi"] == pytest.approx(psi(profile["counts"], counts))


def test_without_by_period_there_is_one_slice(
    later: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(evaluated(later, capsys)) == [None]


def test_the_period_that_evaluated_gives_the_metrics_of_the_version_again(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry_configuration.FILE_VARIABLE, str(home / "loans.yaml"))
    slices = evaluated(home / "rows.parquet", capsys, "--by-period")
    metrics = json.loads((home / "artifacts" / "metrics.json").read_bytes())
    assert slices[10]["evaluation"]["metrics"] == metrics["metrics"]
    assert slices[10]["flag_everyone"] == metrics["baselines"]["flag everyone"]


def test_the_tables_fit_a_terminal_of_100_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    months = tuple(range(11, 24))
    frame = table(2600, months=months, seed=4)
    frame.loc[frame["month"] == 12, "income"] /= 2
    frame.loc[frame["month"] == 13, "unpaid"] = pd.NA
    frame.to_parquet(tmp_path / "later.parquet")
    call = ["--model-version", "v1.0.0", "--data", str(tmp_path / "later.parquet")]
    assert main([*call, "--by-period"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 100
    assert "…" not in "".join(lines)
    first = {line.split()[0]: line.split()[1:] for line in lines if line and line[0] != " "}
    assert {str(month) for month in months} <= first.keys()
    assert first["13"] == ["0"]
    incomes = [line.split()[1:] for line in lines if line.split()[:1] == ["income"]]
    assert len(incomes) == 2  # nine periods in the first table of PSI, the others in the second
    assert "R" in incomes[0]


def test_a_call_that_cannot_be_answered_is_one_line(
    home: Path, later: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", str(later))
    assert "nearest is v1.0.0" in refused(capsys, 3, "--model_version", "v2.0.0", *data)
    assert "no version" in refused(capsys, 3, "--model_version", "v1.0.0", "--model", "x", *data)
    version = ("--model_version", "v1.0.0", "--data")
    assert "missing.csv" in refused(capsys, 2, *version, str(tmp_path / "missing.csv"))
    (tmp_path / "png.parquet").write_bytes(b"\x89PNG")
    assert "not a readable parquet" in refused(capsys, 2, *version, str(tmp_path / "png.parquet"))
    table(0).to_csv(tmp_path / "none.csv", index=False)
    assert "no rows" in refused(capsys, 2, *version, str(tmp_path / "none.csv"))
    with pytest.raises(SystemExit) as usage:
        main(["--data", str(later)])
    assert usage.value.code == 2


def test_rows_are_held_against_the_contract_of_the_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = table(20)
    frame.loc[3, "income"] = 1001
    frame.to_parquet(tmp_path / "rows.parquet")
    assert main(["--model_version", "v1.0.0", "--data", str(tmp_path / "rows.parquet")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: line 5, column income: 1001.0, expected a number from 0 to 1000",
        "error: 1 violation(s), nothing was evaluated",
    ]


def test_a_version_that_was_touched_is_not_evaluated(
    home: Path,
    later: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = shutil.copytree(home, tmp_path / "home")
    touched = copy / "models" / "loans" / "v1.0.0" / "model.json"
    touched.write_text(touched.read_text().replace("0.", "0.1", 1))
    monkeypatch.setenv("BENTOML_HOME", str(copy))
    line = refused(capsys, 6, "--model_version", "v1.0.0", "--data", str(later))
    assert "the bytes are not those of the manifest" in line


def test_without_a_time_column_there_are_no_periods(home: Path) -> None:
    registered = read_version(State(home), None, "v1.0.0")
    rows = hold(table(60), registered.roles, registered.version.schema)
    settings = registry_configuration.load()
    with pytest.raises(TrainingError, match="no time column"):
        run(registered, replace(rows, periods=None), settings, by_period=True)
    (whole,) = run(registered, replace(rows, periods=None), settings, by_period=False)
    assert whole.rows == 60


def test_an_unlabelled_row_without_a_period_is_in_the_whole_only(home: Path) -> None:
    registered = read_version(State(home), None, "v1.0.0")
    frame = table(60)
    frame["month"] = frame["month"].astype("Int64").where(frame["unpaid"].notna())
    rows = hold(frame, registered.roles, registered.version.schema)
    slices = run(registered, rows, registry_configuration.load(), by_period=True)
    assert [part.period for part in slices] == [9, 10, None]
    assert sum(part.rows for part in slices[:2]) == 55
    assert slices[2].rows == 60
