"""The candidate models, each a pipeline with the preprocessing it needs, and their calibration."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from registry.pipeline import PrepareColumns
from registry.schema import Schema
from training.errors import NotEnoughDataError

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
_MAX_LEVELS = 200  # HistGradientBoosting takes at most 255 levels of a category
_MIN_LEVEL_ROWS = 10
_NEXT = "lower training.folds or bring more rows with labels"


def make(name: str, schema: Schema, seed: int) -> Pipeline:
    """An unfitted candidate that takes a frame of the schema's columns."""
    encoder, model = _CANDIDATES[name](schema, seed)
    return Pipeline(
        [
            ("prepare", PrepareColumns([[name, text] for name, text in schema.derived])),
            ("columns", encoder),
            ("model", model),
        ]
    )


def folds(
    target: NDArray[np.int8], entities: NDArray[np.int64], count: int, seed: int
) -> list[Split]:
    """Splits grouped by entity and stratified by target; each row is tested once.

    Raises:
        NotEnoughDataError: a class or the entities are fewer than the folds, or too few entities
            hold a class for it to be among the fitted rows of every fold.
    """
    rarest = min(int(target.sum()), int((1 - target).sum()))
    smallest = min(rarest, len(np.unique(entities)))
    if smallest < count:
        raise NotEnoughDataError(
            f"{count} folds need at least {count} rows of each class and {count} entities in "
            f"every part that is split, and one has {smallest}; {_NEXT}"
        )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    splits = list(splitter.split(np.zeros(len(target)), target, entities))
    if any(len(test) == 0 or len(np.unique(target[fit])) < 2 for fit, test in splits):
        raise NotEnoughDataError(
            f"too few entities hold one of the classes to make {count} folds of them; {_NEXT}"
        )
    return splits


def calibrated(pipeline: Pipeline, splits: Sequence[Split], method: str) -> CalibratedClassifierCV:
    """One model fitted on everything, calibrated by what it scores out of fold.

    `ensemble=False` keeps a single model, which scores several times faster than one a fold.
    """
    return CalibratedClassifierCV(pipeline, method=method, cv=list(splits), ensemble=False)


def _logistic_regression(schema: Schema, seed: int) -> tuple[ColumnTransformer, Any]:
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    texts = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=_MIN_LEVEL_ROWS, sparse_output=False
    )
    return _columns(schema, numbers, texts), LogisticRegression(max_iter=5000)


def _random_forest(schema: Schema, seed: int) -> tuple[ColumnTransformer, Any]:
    model = RandomForestClassifier(n_estimators=100, min_samples_leaf=10, random_state=seed)
    return _columns(schema, "passthrough", _ordinal()), model


def _hist_gradient_boosting(schema: Schema, seed: int) -> tuple[ColumnTransformer, Any]:
    first = len(schema.numeric)
    model = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=120,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        l2_regularization=1.0,
        categorical_features=list(range(first, first + len(schema.categorical))) or None,
        early_stopping=False,
        random_state=seed,
    )
    return _columns(schema, "passthrough", _ordinal()), model


def _ordinal() -> OrdinalEncoder:
    # Trees take null as it is; a level that training never saw is treated as null.
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=_MAX_LEVELS,
    )


def _columns(schema: Schema, numbers: Any, texts: Any) -> ColumnTransformer:
    parts = [("numbers", numbers, list(schema.numeric))]
    if schema.categorical:
        parts.append(("texts", texts, list(schema.categorical)))
    return ColumnTransformer(parts)


_CANDIDATES: dict[str, Callable[[Schema, int], tuple[ColumnTransformer, Any]]] = {
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
}
