"""The protocol: what may see which rows, and what happens when there are too few."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from registry import serialization
from registry.configuration import CANDIDATES
from registry.pipeline import frame_of
from tests.training.tiny import configuration, dataset, table, trained, write_configuration
from training.candidates import folds
from training.errors import NotEnoughDataError
from training.fit import train
from training.train import main


def cross_validated(frame: pd.DataFrame, tmp_path: Path, **training: Any) -> int:
    frame.to_parquet(tmp_path / "rows.parquet")
    settings = write_configuration(tmp_path / "loans.yaml", **training)
    call = ["--data", str(tmp_path / "rows.parquet"), "--output", str(tmp_path / "artifacts")]
    return main([*call, "--configuration", str(settings)])


@pytest.mark.parametrize("rule", ["recall", "capacity"])
def test_nothing_is_learnt_or_chosen_from_the_last_period(rule: str) -> None:
    settings = configuration(
        candidates=["logistic_regression", "hist_gradient_boosting"], threshold_rule=rule
    )
    frame = table(300, months=(8, 9, 10))
    changed = frame.copy()
    last = changed["month"] == 10
    changed.loc[last, "unpaid"] = 1 - changed.loc[last, "unpaid"]
    changed.loc[last, "income"] = 55.5
    changed.loc[last, "region"] = "N"
    one, other = (train(dataset(f), settings, lambda step: None) for f in (frame, changed))
    assert one.protocol == "temporal"
    assert serialization.dump(one.model) == serialization.dump(other.model)
    assert (one.chosen, one.threshold, one.rule) == (other.chosen, other.threshold, other.rule)
    assert one.candidates == other.candidates
    assert one.evaluation != other.evaluation


def test_the_last_period_and_only_it_evaluates() -> None:
    done = trained(table(300, months=(8, 9, 10)))
    assert done.fitted.periods is not None
    assert done.evaluated.periods is not None
    assert set(done.fitted.periods.tolist()) == {8, 9}
    assert set(done.evaluated.periods.tolist()) == {10}
    scores = done.model.predict_proba(frame_of(done.evaluated.columns))[:, 1]
    np.testing.assert_array_equal(done.scores, scores)
    assert done.evaluation.flagged == (scores >= done.threshold).sum()


def test_one_period_is_cross_validated() -> None:
    done = trained(table(200, months=(9,)))
    assert done.protocol == "cross-validation"
    assert done.evaluated is done.fitted
    in_sample = done.model.predict_proba(frame_of(done.fitted.columns))[:, 1]
    assert (done.scores != in_sample).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_entity_stands_on_both_sides(seed: int) -> None:
    data = dataset(table(200, seed=seed))
    splits = folds(data.target, data.entities, 4, seed)
    tested = np.concatenate([test for _, test in splits])
    assert sorted(tested.tolist()) == list(range(data.rows))
    for fit, test in splits:
        assert not set(data.entities[fit].tolist()) & set(data.entities[test].tolist())
        assert set(data.target[fit].tolist()) == {0, 1}


def test_a_model_that_knows_its_entities_is_not_praised_for_it() -> None:
    """Income names the customer, and a label is the customer's: grouped, that predicts nothing."""
    rng = np.random.default_rng(0)
    customers = np.repeat(np.arange(60), 5)
    incomes = rng.uniform(10, 900, 60)
    labels = rng.permutation(np.arange(60) % 2)
    frame = table(300, months=(9,)).assign(
        customer=[f"C{customer}" for customer in customers],
        income=incomes[customers],
        debt=1.0,
        age=30,
        unpaid=labels[customers],
    )
    done = trained(frame, candidates=["hist_gradient_boosting"])
    assert done.evaluation.metrics["roc_auc"].value is not None
    assert done.evaluation.metrics["roc_auc"].value < 0.65
    known = done.model.predict_proba(frame_of(done.fitted.columns))[:, 1]
    assert np.corrcoef(known, done.fitted.target)[0, 1] > 0.8


def test_flagging_everyone_has_recall_one_and_the_base_rate() -> None:
    done = trained()
    everyone = done.flag_everyone.metrics
    assert everyone["recall"].value == 1
    assert everyone["precision"].value == pytest.approx(done.evaluated.target.mean(), abs=1e-6)
    assert everyone["roc_auc"].value == 0.5
    assert done.flag_everyone.flagged == done.evaluated.rows


def test_the_threshold_keeps_what_its_rule_promises_out_of_fold() -> None:
    one_period = table(400, months=(9,))
    by_recall = trained(one_period, target_recall=0.8).evaluation.metrics["recall"].value
    assert by_recall is not None
    assert by_recall >= 0.8
    by_capacity = trained(one_period, threshold_rule="capacity", capacity_share=0.25).evaluation
    assert 0.2 < by_capacity.flagged / by_capacity.rows <= 0.25


@pytest.mark.parametrize("candidate", CANDIDATES)
@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_a_feature_without_any_value_when_fitted_is_no_obstacle(
    candidate: str, calibration: str
) -> None:
    frame = table(240, months=(9, 10))
    frame.loc[frame["month"] == 9, ["debt", "shop"]] = pd.NA
    done = trained(frame, candidates=[candidate], calibration=calibration)
    assert not np.isnan(done.evaluated.columns["debt"]).all()
    scores = serialization.load(serialization.dump(done.model)).predict_proba(
        frame_of(done.evaluated.columns)
    )[:, 1]
    np.testing.assert_array_equal(scores, done.scores)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(("month", "what"), [(9, "fit"), (10, "evaluate")])
def test_one_class_in_a_period_is_too_little(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], month: int, what: str
) -> None:
    frame = table()
    frame.loc[frame["month"] == month, "unpaid"] = 0
    assert cross_validated(frame, tmp_path) == 3
    assert capsys.readouterr().err.startswith(f"error: the rows to {what} hold one class only")
    assert not (tmp_path / "artifacts").exists()


def test_no_rows_and_no_labels_are_too_little(tmp_path: Path) -> None:
    assert cross_validated(table().head(0), tmp_path) == 3
    assert cross_validated(table().assign(unpaid=None), tmp_path) == 3


@pytest.mark.parametrize("positives", [2, 3])
def test_more_folds_than_positives_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], positives: int
) -> None:
    frame = table(120, months=(9,)).assign(unpaid=[1] * positives + [0] * (120 - positives))
    assert cross_validated(frame, tmp_path) == 3
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: 3 folds need at least 3 rows of each class")
    assert "one has 2" in line


def test_positives_of_one_entity_cannot_be_on_both_sides() -> None:
    frame = table(120, months=(9,)).assign(unpaid=[1] * 12 + [0] * 108)
    frame.loc[:11, "customer"] = "C1"
    with pytest.raises(NotEnoughDataError, match="too few entities hold one of the classes"):
        trained(frame)
