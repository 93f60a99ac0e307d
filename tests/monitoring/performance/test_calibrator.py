import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from monitoring.performance.calibrator import (
    IDENTITY,
    MAX_ROWS,
    CalibrationReference,
    fit,
    needs_calibration,
)

PAIRS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 1)), min_size=1, max_size=60)


@given(PAIRS)
def test_fit_is_the_isotonic_regression_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    scores = np.array([score / 50 for score, _ in pairs])
    labels = np.array([label for _, label in pairs], dtype=np.int8)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    asked = np.linspace(0, 1, 333)
    np.testing.assert_allclose(fit(scores, labels)(asked), theirs.predict(asked), atol=1e-9)


def test_identity_leaves_scores_exactly_as_they_are() -> None:
    scores = np.random.default_rng(1).random(1000)
    assert (IDENTITY(scores) == scores).all()


def worlds(slope: float, *, rows: int = 3000) -> CalibrationReference:
    rng = np.random.default_rng(2)
    logit = rng.normal(-0.5, 1.3, rows)
    labels = rng.random(rows) < expit(logit)
    return CalibrationReference.of(expit(slope * logit), labels, np.arange(rows), seed=1)


def test_only_scores_that_are_off_are_calibrated() -> None:
    assert needs_calibration(worlds(2.5))
    assert needs_calibration(worlds(0.4))
    assert not needs_calibration(worlds(1.0))


def test_calibration_is_judged_on_entities_that_the_curve_has_not_seen() -> None:
    """Eighty entities of twenty alike rows, with true scores: a curve that has seen the entity
    knows its label and always seems to improve them."""
    by_entity: list[bool] = []
    by_row: list[bool] = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = rng.random(80)
        labels = (rng.random(80) < scores).astype(np.int8)
        rows = np.repeat(np.arange(80), 20)
        for entities, into in ((rows, by_entity), (np.arange(len(rows)), by_row)):
            reference = CalibrationReference.of(scores[rows], labels[rows], entities, seed=1)
            into.append(needs_calibration(reference))
    assert sum(by_row) == 20
    assert sum(by_entity) <= 14


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ([0.2, 0.9], [0, 1]),
        (np.linspace(0, 1, 100), np.zeros(100)),
        (np.linspace(0, 1, 100), np.arange(100) == 99),
        (np.linspace(0.3, 0.6, 100), np.arange(100) > 50),
    ],
    ids=["too few", "one class", "one positive", "separated"],
)
def test_without_evidence_scores_are_left_alone(scores: Any, labels: Any) -> None:
    reference = CalibrationReference.of(scores, labels, np.arange(len(labels)), seed=1)
    assert not needs_calibration(reference)


@given(PAIRS, st.integers(0, 5))
def test_reference_survives_json_exactly(pairs: list[tuple[int, int]], step: int) -> None:
    scores = [score / 51 for score, _ in pairs]
    entities = [f"entity {at // (step + 1)}" for at in range(len(pairs))]
    kept = CalibrationReference.of(scores, [label for _, label in pairs], entities, seed=1)
    again = CalibrationReference.from_dict(json.loads(json.dumps(kept.to_dict(), allow_nan=False)))
    assert (again.scores == kept.scores).all()
    assert (again.labels == kept.labels).all()
    assert (again.entities == kept.entities).all()
    assert again.needs_curve == needs_calibration(kept)
    np.testing.assert_allclose(kept.scores, scores, rtol=1e-7)
    assert kept.entities.tolist() == [at // (step + 1) for at in range(len(pairs))]


def test_large_reference_is_sampled_by_whole_entities() -> None:
    rng = np.random.default_rng(6)
    entities = rng.permutation(np.repeat(np.arange(10_000), 3))
    scores = entities / 10_000
    kept = CalibrationReference.of(scores, entities % 2, entities, seed=1)
    assert MAX_ROWS - 3 < len(kept.scores) <= MAX_ROWS
    assert set(np.bincount(kept.entities)) == {3}
    assert all(len(set(kept.scores[kept.entities == code])) == 1 for code in range(20))
    again = CalibrationReference.of(scores, entities % 2, entities, seed=1)
    other = CalibrationReference.of(scores, entities % 2, entities, seed=2)
    assert (again.scores == kept.scores).all()
    assert not np.array_equal(other.scores, kept.scores)


def test_one_huge_entity_is_cut_to_size() -> None:
    kept = CalibrationReference.of(np.full(30_000, 0.5), np.zeros(30_000), np.zeros(30_000), seed=1)
    assert len(kept.scores) == MAX_ROWS


GOOD = {"scores": [0.25, 0.5], "labels": "01", "entities": [0, 1], "needs_curve": False}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"scores": [0.25, 0.5], "labels": "01", "needs_curve": False},
        GOOD | {"needs_curve": None},
        GOOD | {"more": 1},
        GOOD | {"scores": []},
        GOOD | {"scores": [0.25]},
        GOOD | {"scores": [0.25, 1.5]},
        GOOD | {"scores": [0.25, float("nan")]},
        GOOD | {"scores": [0.25, True]},
        GOOD | {"scores": [0.25, None]},
        GOOD | {"scores": [0, 10**400]},
        GOOD | {"scores": "0.5"},
        GOOD | {"labels": "02"},
        GOOD | {"labels": "011"},
        GOOD | {"labels": [0, 1]},
        GOOD | {"entities": [0, 2]},
        GOOD | {"entities": [0, -1]},
        GOOD | {"entities": [0, 1.0]},
        GOOD | {"entities": [0, 10**30]},
    ],
)
def test_anything_else_than_a_reference_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    CalibrationReference.from_dict(GOOD)
    with pytest.raises(ValueError, match="calibration reference: ") as caught:
        CalibrationReference.from_dict(wrong)
    assert "\n" not in str(caught.value)
