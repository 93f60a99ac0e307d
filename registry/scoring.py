"""Turning validated rows into probabilities; the one place to change for faster scoring.

A pipeline of ours is always the same three steps behind a calibrator, so its fitted parts can be
called on plain arrays: most of the milliseconds of `predict_proba` on a small frame go into pandas
and column names. Loading a version checks that the golden scores come out.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from registry.pipeline import PrepareColumns, columns_of, frame_of
from registry.schema import Schema
from registry.validation import Value

Scores = NDArray[np.float64]


class Scorer(Protocol):
    def score(self, rows: Sequence[tuple[Value, ...]]) -> Scores:
        """Probability of the positive class for each row, shape (rows,), finite, in [0, 1]."""


def scorer_for(schema: Schema, pipeline: Any) -> Scorer:
    """The fastest scorer that knows the pipeline's shape."""
    if _has_our_shape(pipeline):
        return ArrayScorer(schema, pipeline)
    return PipelineScorer(schema, pipeline)


class PipelineScorer:
    """Scores with the pipeline's own `predict_proba` on a frame."""

    def __init__(self, schema: Schema, pipeline: Any) -> None:
        self._schema = schema
        self._pipeline = pipeline

    def score(self, rows: Sequence[tuple[Value, ...]]) -> Scores:
        frame = frame_of(columns_of(self._schema, rows))
        return np.asarray(self._pipeline.predict_proba(frame)[:, 1], dtype=np.float64)


class ArrayScorer:
    """Scores with the pipeline's fitted parts, called on arrays. Takes the pipeline over: its parts
    forget the names of their columns, which they would otherwise miss on an array."""

    def __init__(self, schema: Schema, pipeline: CalibratedClassifierCV) -> None:
        (calibrated,) = pipeline.calibrated_classifiers_
        prepare, columns, self._model = (step for _, step in calibrated.estimator.steps)
        (self._calibrator,) = calibrated.calibrators
        self._schema = schema
        self._prepare: PrepareColumns = prepare
        self._parts = [(_forgetful(part), list(names)) for _, part, names in columns.transformers_]
        self._raw = getattr(self._model, "decision_function", None) or self._positive

    def score(self, rows: Sequence[tuple[Value, ...]]) -> Scores:
        columns = self._prepare.prepare(columns_of(self._schema, rows), len(rows))
        blocks = []
        for part, names in self._parts:
            block = np.column_stack([columns[name] for name in names])
            blocks.append(block if part is None else part.transform(block))
        matrix = blocks[0] if len(blocks) == 1 else np.hstack(blocks)
        scores = np.asarray(self._calibrator.predict(self._raw(matrix)), dtype=np.float64)
        return np.minimum(scores, 1.0)  # isotonic sums may exceed 1 by rounding

    def _positive(self, matrix: NDArray[Any]) -> Scores:
        return np.asarray(self._model.predict_proba(matrix)[:, 1])


def _has_our_shape(pipeline: Any) -> bool:
    if not isinstance(pipeline, CalibratedClassifierCV):
        return False
    fitted = pipeline.calibrated_classifiers_
    if len(fitted) != 1 or len(fitted[0].calibrators) != 1:
        return False
    estimator = fitted[0].estimator
    if not isinstance(estimator, Pipeline) or len(estimator.steps) != 3:
        return False
    prepare, columns, _ = (step for _, step in estimator.steps)
    return isinstance(prepare, PrepareColumns) and isinstance(columns, ColumnTransformer)


def _forgetful(part: Any) -> Any:
    """A fitted transformer that takes arrays; None where it passes its columns through."""
    if part == "passthrough" or isinstance(part, FunctionTransformer):
        return None
    for step in [part, *(step for _, step in getattr(part, "steps", ()))]:
        vars(step).pop("feature_names_in_", None)
    return part
