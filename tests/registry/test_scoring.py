"""The array scorer gives what the pipeline's own predict_proba gives, for every candidate."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from registry.configuration import CANDIDATES
from registry.schema import Feature, Schema
from registry.scoring import ArrayScorer, PipelineScorer, scorer_for
from registry.serialization import dump, load
from registry.validation import Value
from training import candidates

NUMBERS = Schema(
    (
        Feature("age", "integer", "years", optional=True),
        Feature("mark", "number", "mark", optional=True),
        Feature("never", "number", "not measured when fitted", optional=True),
    ),
    (("ratio", "mark / age"),),
)
MIXED = Schema(
    (*NUMBERS.features, Feature("school", "category", "kind", optional=True)), NUMBERS.derived
)
Row = tuple[Value, ...]


def rows_of(schema: Schema, count: int, seed: int, *, later: bool) -> list[Row]:
    """Random rows with nulls; `later` ones hold unseen levels and values where none were."""
    rng = np.random.default_rng(seed)
    levels: list[Value] = ["A", "B", "Ç", None, *(["unseen", ""] if later else [])]

    def one() -> Row:
        values: list[Value] = [
            None if rng.random() < 0.2 else int(rng.integers(0, 9)),
            None if rng.random() < 0.2 else float(rng.normal()),
            float(rng.normal()) if later else None,
            levels[rng.integers(len(levels))],
        ]
        return tuple(values[: len(schema.features)])

    return [one() for _ in range(count)]


def frame(schema: Schema, rows: list[Row]) -> pd.DataFrame:
    """A plain frame, built here and not by the code under test."""
    columns: dict[str, Any] = {}
    for feature, values in zip(schema.features, zip(*rows, strict=True), strict=True):
        kind = object if feature.type == "category" else float
        columns[feature.name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)


def fitted(schema: Schema, name: str, method: str) -> Any:
    rows = rows_of(schema, 150, 1, later=False)
    rng = np.random.default_rng(2)
    marks = np.array([row[1] if row[1] is not None else 0.0 for row in rows], dtype=float)
    target = (marks + rng.normal(size=len(rows)) > 0).astype(np.int8)
    splits = candidates.folds(target, np.arange(len(rows)), 3, 0)
    pipeline = candidates.make(name, schema, 0)
    return candidates.calibrated(pipeline, splits, method).fit(frame(schema, rows), target)


@pytest.mark.parametrize("schema", [NUMBERS, MIXED], ids=["numbers", "mixed"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("name", CANDIDATES)
def test_scores_are_those_of_predict_proba(schema: Schema, method: str, name: str) -> None:
    model = fitted(schema, name, method)
    rows = rows_of(schema, 300, 3, later=True)
    expected: NDArray[np.float64] = model.predict_proba(frame(schema, rows))[:, 1]
    scorer = scorer_for(schema, model)
    assert isinstance(scorer, ArrayScorer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(scorer.score(rows), expected, rtol=0, atol=1e-12)
        for index in (0, 7):
            (alone,) = scorer.score([rows[index]])
            assert alone == pytest.approx(expected[index], abs=1e-12)


def test_a_stored_model_scores_the_same_after_it_was_loaded() -> None:
    model = fitted(MIXED, "hist_gradient_boosting", "sigmoid")
    rows = rows_of(MIXED, 50, 4, later=True)
    expected = model.predict_proba(frame(MIXED, rows))[:, 1]
    scores = scorer_for(MIXED, load(dump(model))).score(rows)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_a_pipeline_of_another_shape_scores_through_its_own_predict_proba() -> None:
    schema = Schema((Feature("x", "number", "x"), Feature("y", "number", "y")))
    values = np.random.default_rng(0).normal(size=(40, 2))
    data = pd.DataFrame(values, columns=["x", "y"])
    model = make_pipeline(LogisticRegression()).fit(data, values[:, 0] > 0)
    scorer = scorer_for(schema, model)
    assert isinstance(scorer, PipelineScorer)
    scores = scorer.score([tuple(map(float, row)) for row in values])
    np.testing.assert_allclose(scores, model.predict_proba(data)[:, 1], rtol=0, atol=1e-12)
