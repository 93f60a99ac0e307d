"""Rows out of the log and a file together, with real logs, labels and versions."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from monitoring.log.writing import SECRET_VARIABLE, EntityKeys
from registry.configuration import Configuration, parse
from registry.state import State
from tests.artefacts import install
from tests.training.logged import SECRET, Loan, import_labels, log
from tests.training.tiny import (
    FEATURES,
    configuration,
    content,
    table,
    trained,
    write_configuration,
)
from training import artifacts, logged_rows, retrain_rows
from training.comparison_wording import log_lines
from training.data import Dataset
from training.errors import ContractError, NotEnoughDataError, TrainingError
from training.logged_rows import LogRows
from training.retrain_rows import Gathered, Sources

NOW = datetime.now(UTC)
THEN = datetime(2025, 3, 1, 12, tzinfo=UTC)
LATER = THEN + timedelta(days=3)
KEYS = EntityKeys(SECRET)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loans") / "artefacts"
    source = {"name": "loans", "sha256": "0" * 64, "rows": 240}
    artifacts.write(trained(), configuration(), source, folder)
    return folder


@pytest.fixture
def state(artefacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    found = State(tmp_path / "home")
    install(found, artefacts, "v1.0.0", "loans")
    monkeypatch.setenv("BENTOML_HOME", str(found.home))
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    settings = write_configuration(tmp_path / "loans.yaml")
    monkeypatch.setenv("DATATHON_CONFIGURATION", str(settings))
    return found


@pytest.fixture
def known(state: State, tmp_path: Path) -> State:
    """A log with every kind of label in it."""
    log(
        state,
        [
            Loan("old", "C1", 11, THEN, income=1.0),
            Loan("new", "C1", 11, LATER, income=2.0),
            Loan("by-id", "C2", 11, THEN, income=3.0, age=None, shop=None, debt=None),
            Loan("both", "C3", 11, THEN),
            Loan("torn", "C4", 11, THEN),
            Loan("nobody", None, 10, THEN, income=4.0, region="S"),
            Loan("unknown", "C5", 11, THEN),
            Loan("undated", "C6", None, THEN, income=5.0),
        ],
    )
    import_labels(tmp_path, "prediction_id,label", "by-id,0", "both,1", "nobody,1")
    import_labels(
        tmp_path,
        "entity_id,period,label,observed_at",
        *("C1,11,1,2025-09-01", "C3,11,0,2025-09-01", "C4,11,0,2025-09-01"),
        *("C4,11,1,2025-09-01", "C6,2025,0,2025-09-01", "C9,11,1,2025-09-01"),
    )
    return state


def read(state: State, settings: Configuration | None = None) -> LogRows:
    return logged_rows.read(state, settings or configuration(), NOW, lambda step: None)


def gather(
    state: State, data: Path | None, settings: Configuration | None = None, keys: EntityKeys = KEYS
) -> Gathered:
    sources = Sources(data, True, keys, NOW)
    quiet = Console(quiet=True)
    return retrain_rows.gather(
        state, sources, settings or configuration(), quiet, lambda step: None
    )


def test_each_entity_and_period_is_one_row_its_newest_prediction(known: State) -> None:
    found = read(known)
    rows = found.table.set_index("income")
    assert sorted(rows.index) == [2.0, 3.0, 4.0, 5.0]
    assert rows["unpaid"].to_dict() == {2.0: 1, 3.0: 0, 4.0: 1, 5.0: 0}
    assert rows["month"].to_dict() == {2.0: 11, 3.0: 11, 4.0: 10, 5.0: 2025}
    keys = {2.0: KEYS.key("C1"), 3.0: KEYS.key("C2"), 4.0: None, 5.0: KEYS.key("C6")}
    assert rows["customer"].to_dict() == keys
    assert (found.predictions, found.labelled, found.older) == (8, 7, 1)
    assert found.versions == ("v1.0.0",)


def test_labels_that_contradict_each_other_are_none_and_orphans_are_counted(known: State) -> None:
    found = read(known)
    assert found.contested == 2  # C3 by id and by entity, C4 within a file
    assert (found.labels, found.unmatched) == (8, 1)  # C9 was never scored


def test_what_was_scored_after_its_label_was_observed_is_left_out(
    state: State, tmp_path: Path
) -> None:
    """By whole days: on the day itself a label may have come after the prediction."""
    log(
        state,
        [
            Loan("before", "C1", 11, THEN, income=1.0),
            Loan("after", "C1", 11, LATER, income=2.0),
            Loan("that-day", "C2", 11, THEN, income=3.0),
            Loan("next-day", "C2", 11, THEN + timedelta(hours=12), income=4.0),
            Loan("only-after", "C3", 11, LATER, income=5.0),
            Loan("undated", None, 11, LATER, income=6.0),
        ],
    )
    days = "C1,11,1,2025-03-03", "C2,11,0,2025-03-01", "C3,11,1,2025-03-03"
    import_labels(tmp_path, "entity_id,period,label,observed_at", *days)
    import_labels(tmp_path, "prediction_id,label", "undated,1")
    found = read(state)
    assert sorted(found.table["income"]) == [1.0, 3.0, 6.0]
    assert (found.labelled, found.known_before, found.older, found.contested) == (6, 3, 0, 0)
    source = gather(state, None).source
    assert source["known_before"] == 3
    assert any(line.startswith("3 predictions were made after") for line in log_lines(source))


def test_nulls_are_the_models_nulls(known: State) -> None:
    data = gather(known, None).dataset
    blank = data.columns["income"] == 3.0
    assert np.isnan(data.columns["age"][blank]).all()
    assert np.isnan(data.columns["debt"][blank]).all()
    assert data.columns["shop"][blank].tolist() == [None]
    assert data.columns["age"].dtype == np.float64


def test_the_rows_and_their_sha256_do_not_depend_on_the_order_of_the_log(known: State) -> None:
    before = gather(known, None)
    files = sorted(known.inference_log.glob("dt=2025-03-01/*.jsonl"))
    backwards = "".join(path.read_text() for path in files).splitlines()[::-1]
    for path in files[1:]:
        path.unlink()
    files[0].write_text("\n".join(backwards) + "\n")
    after = gather(known, None)
    assert after.source == before.source
    assert after.dataset.columns["income"].tolist() == before.dataset.columns["income"].tolist()


def test_a_version_without_a_feature_and_a_damaged_one_are_named(
    known: State, tmp_path: Path
) -> None:
    folder = known.models / "loans"
    for version in ("v0.8.0", "v0.9.0"):
        shutil.copytree(folder / "v1.0.0", folder / version)
    schema = json.loads((folder / "v0.8.0" / "schema.json").read_bytes())
    schema["features"] = [f for f in schema["features"] if f["name"] != "debt"]
    (folder / "v0.8.0" / "schema.json").write_text(json.dumps(schema))
    (folder / "v0.9.0" / "schema.json").write_text("{")
    found = read(known)
    assert found.left_out == {"v0.8.0": "it has no debt", "v0.9.0": "it is damaged"}
    assert len(found.table) == 4


def test_what_todays_contract_refuses_is_left_out_and_counted(known: State) -> None:
    narrow = content() | {
        "features": FEATURES
        | {"income": {"type": "number", "meaning": "a month", "hard_range": [2.5, 1000]}}
    }
    found = gather(known, None, parse(narrow))
    assert sorted(found.dataset.columns["income"]) == [3.0, 4.0, 5.0]
    assert found.source["outside_contract"] == {"income": 1}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """C1's label is not known in it, C2's is; C7 and another month of C1 are new."""
    frame = table(4, months=(11,)).assign(
        customer=["C1", "C2", "C1", "C7"],
        month=[11, 11, 9, 9],
        income=[61.0, 62.0, 63.0, 64.0],
        unpaid=pd.array([None, 1, 0, 1], dtype="Int64"),
    )
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def by_income(data: Dataset) -> dict[float, int]:
    return dict(zip(data.columns["income"].tolist(), data.entities.tolist(), strict=True))


def test_a_labelled_row_of_the_file_counts_and_its_entity_is_the_logs(
    known: State, file: Path
) -> None:
    found = gather(known, file)
    entities = by_income(found.dataset)
    assert sorted(entities) == [2.0, 4.0, 5.0, 62.0, 63.0, 64.0]  # 3.0 is C2's row in the log
    assert entities[2.0] == entities[63.0]  # C1
    assert len(set(entities.values())) == 5
    assert found.source["parts"][1]["in_the_file"] == 1
    assert found.source["name"] == "rows.csv and inference log"
    assert found.source["rows"] == 4 + 3
    assert found.dataset.unlabelled == 1
    assert found.dataset.periods is not None
    assert sorted(found.dataset.periods.tolist()) == [9, 9, 10, 11, 11, 2025]


def test_without_the_secret_entities_differ_and_that_is_said(known: State, file: Path) -> None:
    found = gather(known, file, keys=EntityKeys(None))
    entities = by_income(found.dataset)
    assert len(entities) == 7
    assert entities[2.0] != entities[63.0]
    assert entities[62.0] != entities[3.0]
    assert len(found.notes) == 1
    assert SECRET_VARIABLE in found.notes[0]


def test_a_number_and_a_padded_text_are_the_entity_that_the_service_logged(
    known: State, tmp_path: Path
) -> None:
    log(known, [Loan("seven", "7", 11, THEN, income=7.0)])
    import_labels(tmp_path, "prediction_id,label", "seven,1")
    frame = table(2, months=(9,)).assign(customer=[7.0, np.nan], income=[70.0, 71.0], unpaid=1)
    frame.to_parquet(tmp_path / "rows.parquet")
    entities = by_income(gather(known, tmp_path / "rows.parquet").dataset)
    assert entities[7.0] == entities[70.0]
    frame.assign(customer=" 7 ").to_csv(tmp_path / "rows.csv", index=False)
    entities = by_income(gather(known, tmp_path / "rows.csv").dataset)
    assert entities[7.0] == entities[70.0] == entities[71.0]


def test_periods_that_have_no_order_together_are_refused(known: State, file: Path) -> None:
    frame = pd.read_csv(file).assign(month="2025-09-01")
    frame.to_csv(file, index=False)
    with pytest.raises(TrainingError, match="whole numbers"):
        gather(known, file)


def test_a_file_that_breaks_the_contract_is_refused_with_its_own_rows(
    known: State, file: Path
) -> None:
    frame = pd.read_csv(file)
    frame.loc[2, "income"] = -1
    frame.to_csv(file, index=False)
    with pytest.raises(ContractError) as refused:
        gather(known, file)
    (violation,) = refused.value.violations
    assert (violation.row, violation.column) == (2, "income")


def test_without_a_label_there_is_nothing_to_train_on(state: State, file: Path) -> None:
    log(state, [Loan("one", "C1", 11, THEN)])
    with pytest.raises(NotEnoughDataError, match="import"):
        gather(state, None)
    assert gather(state, file).dataset.rows == 3


def test_a_model_without_roles_takes_a_logged_row_for_each_prediction_or_entity(
    known: State,
) -> None:
    plain = configuration()
    plain = replace(plain, model=replace(plain.model, time_column=None, entity_column=None))
    data = gather(known, None, plain).dataset
    assert data.periods is None
    assert data.rows == 4
    assert len(set(data.entities.tolist())) == 4
