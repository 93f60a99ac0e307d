"""Leakage that one column alone brings, what is none, and the single-feature rule."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from registry.configuration import TrainingSettings
from registry.schema import Feature, Schema
from training.baselines import SingleFeatureRule, best_single_feature, refuse_leakage
from training.data import Dataset
from training.errors import LeakageError

RNG = np.random.default_rng(3)
TARGET = (RNG.random(400) < 0.4).astype(np.int8)
NOISE = RNG.normal(size=400)
SOMETIMES = RNG.random(400) < 0.5


def schema(*, category: bool = False, derived: tuple[tuple[str, str], ...] = ()) -> Schema:
    kind: Any = "category" if category else "number"
    features = [Feature("x", kind, "suspect", optional=True), Feature("noise", "number", "none")]
    return Schema(tuple(features), derived)


def data(x: Any, *, noise: Any = NOISE, entities: Any = None) -> Dataset:
    values = np.empty(len(TARGET), dtype=object if isinstance(x[0], str | None) else np.float64)
    values[:] = x
    return Dataset(
        columns={"x": values, "noise": np.asarray(noise, dtype=np.float64)},
        target=TARGET,
        entities=np.arange(len(TARGET)) if entities is None else entities,
        periods=None,
        unlabelled=0,
        unusual={},
    )


def nulled(values: Any, null: Any) -> Any:
    return np.where(null, np.nan, values)


@pytest.mark.parametrize(
    "x",
    [
        TARGET.astype(float),
        -TARGET.astype(float) + NOISE / 1e6,
        10 * TARGET + NOISE,
        nulled(NOISE, TARGET == 0),
        nulled(NOISE, TARGET == 1),
        nulled(TARGET.astype(float), SOMETIMES),
        nulled(-TARGET.astype(float), SOMETIMES),
    ],
    ids=["equal", "negated", "ranked", "known if 1", "known if 0", "half null", "negated half"],
)
def test_a_number_that_gives_the_target_away_is_refused(x: Any) -> None:
    with pytest.raises(LeakageError, match=r"target leakage: x \(AUC 1.000\) alone"):
        refuse_leakage(data(x), schema(), 0.99)


@pytest.mark.parametrize(
    "x",
    [
        ["late" if label else "paid" for label in TARGET],
        ["seen" if label else None for label in TARGET],
        [f"{'up' if label else 'down'}{n % 7}" for n, label in enumerate(TARGET)],
        [None if s else str(label) for s, label in zip(SOMETIMES, TARGET, strict=True)],
    ],
    ids=["equal", "known if 1", "several levels", "half null"],
)
def test_a_category_that_gives_the_target_away_is_refused(x: list[str | None]) -> None:
    with pytest.raises(LeakageError, match="target leakage: x "):
        refuse_leakage(data(x), schema(category=True), 0.99)


def test_a_derived_column_that_gives_the_target_away_is_refused() -> None:
    suspect = schema(derived=(("sum", "x + noise"),))
    with pytest.raises(LeakageError, match="target leakage: sum "):
        refuse_leakage(data(TARGET - NOISE), suspect, 0.99)


def test_an_id_with_one_row_a_level_is_no_leakage() -> None:
    refuse_leakage(data([f"A{n}" for n in range(400)]), schema(category=True), 0.99)


def test_the_entity_itself_as_a_level_is_no_leakage() -> None:
    entities = np.repeat(np.arange(200), 2)
    refuse_leakage(data([f"A{n}" for n in entities], entities=entities), schema(category=True), 0.9)


def test_few_known_values_apart_by_luck_are_no_leakage() -> None:
    x = np.full(400, np.nan)
    x[np.flatnonzero(TARGET == 1)[:9]] = 1.0
    x[np.flatnonzero(TARGET == 0)[:9]] = 0.0
    refuse_leakage(data(x), schema(), 0.99)


def test_a_good_feature_is_no_leakage_and_one_class_cannot_leak() -> None:
    refuse_leakage(data(TARGET + NOISE), schema(), 0.99)
    alone = data(TARGET.astype(float)).take(TARGET == 1)
    refuse_leakage(alone, schema(), 0.99)


def test_the_auc_is_that_of_scikit_learn_on_a_noisy_feature() -> None:
    x = np.round(TARGET + 0.3 * NOISE, 1)
    auc = roc_auc_score(TARGET, x)
    refuse_leakage(data(x), schema(), auc + 1e-9)
    with pytest.raises(LeakageError, match=rf"x \(AUC {auc:.3f}\)"):
        refuse_leakage(data(-x), schema(), auc - 1e-9)


def rule(x: Any, **settings: Any) -> SingleFeatureRule:
    chosen = schema(derived=(("double", "2 * x"),))
    return best_single_feature(data(x), chosen, TrainingSettings(**settings))


def test_the_rule_takes_the_column_and_the_direction_that_rank_best() -> None:
    assert rule(3 * TARGET + NOISE).column == "x"
    assert rule(3 * TARGET + NOISE).sign == 1
    assert rule(-3 * TARGET + NOISE).sign == -1


def test_the_rule_is_cut_for_the_recall_or_the_capacity_asked_for() -> None:
    x = np.round(2 * TARGET + NOISE, 1)
    for wanted in (0.5, 0.9):
        found = rule(x, target_recall=wanted)
        flags = found.flags(data(x), schema())
        np.testing.assert_array_equal(flags, x >= found.cut)
        assert flags[TARGET == 1].mean() >= wanted
    flags = rule(x, threshold_rule="capacity", capacity_share=0.2).flags(data(x), schema())
    assert 0.1 < flags.mean() <= 0.2


def test_the_rule_never_flags_a_null_and_ranks_columns_knowing_that() -> None:
    # Where x is known the target is 0, but "flag the null" is nothing this rule can say.
    x = nulled(NOISE, TARGET == 1)
    found = best_single_feature(data(x, noise=TARGET + NOISE), schema(), TrainingSettings())
    assert found.column == "noise"
    half = nulled(TARGET + NOISE, SOMETIMES)
    found = rule(half, target_recall=1.0)
    assert not found.flags(data(half), schema())[SOMETIMES].any()
    assert str(found) == f"x >= {np.nanmin(half):g}"


def test_a_column_that_is_null_altogether_later_flags_nobody() -> None:
    found = rule(-TARGET + NOISE / 10)
    later = data(np.full(400, np.nan))
    assert found.column == "x"
    assert not found.flags(later, schema()).any()


def test_without_numbers_the_rule_flags_nobody() -> None:
    words = Schema((Feature("x", "category", "suspect"),))
    found = best_single_feature(data(["a", "b"] * 200), words, TrainingSettings())
    assert found.column == "(no numeric column)"


def test_a_rule_reads_as_it_flags() -> None:
    assert str(SingleFeatureRule("debt", 1, 2.5)) == "debt >= 2.5"
    assert str(SingleFeatureRule("debt", -1, 2.0)) == "debt <= -2"
    flags = SingleFeatureRule("x", -1, 2.0).flags(data(np.linspace(-4, 4, 400)), schema())
    np.testing.assert_array_equal(flags, pd.Series(np.linspace(-4, 4, 400)) <= -2)
