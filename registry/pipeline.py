"""The columns that a fitted pipeline takes, and the one step of ours inside it.

Training and serving build their frames here, so that both see the same types; the derived columns
are made by a step that is stored with the version.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from registry import expressions
from registry.schema import Schema
from registry.validation import Value

_parse = lru_cache(maxsize=1024)(expressions.parse)


def column(values: Sequence[Value], *, numeric: bool) -> NDArray[Any]:
    """One column of shape (rows,): float64 with NaN for null, or objects with None for null."""
    if numeric:
        return np.array(values, dtype=np.float64)
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts


def columns_of(schema: Schema, rows: Sequence[tuple[Value, ...]]) -> dict[str, NDArray[Any]]:
    """Turn validated rows, values in the schema's order, into columns."""
    return {
        feature.name: column(values, numeric=feature.type != "category")
        for feature, values in zip(schema.features, zip(*rows, strict=True), strict=True)
    }


def frame_of(columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """The frame that a pipeline takes. Texts stay objects, whatever pandas would infer."""
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=object) if values.dtype == object else values
            for name, values in columns.items()
        },
        copy=False,
    )


class PrepareColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Adds the derived columns, by exact names, after the declared ones.

    A numeric column without any value when it was fitted (an index that was not measured that year)
    says nothing: it becomes a constant, whatever comes later, which every model can take.

    Parameters: `derived`, a list of [name, expression] over numeric columns.
    """

    def __init__(self, derived: list[list[str]]) -> None:
        self.derived = derived

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        whole = self._derive(X)
        self.empty_ = [
            name for name, values in whole.items() if values.dtype != object and values.isna().all()
        ]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        whole = self._derive(X)
        return whole.assign(**{str(name): 0.0 for name in self.empty_}) if self.empty_ else whole

    def _derive(self, X: pd.DataFrame) -> pd.DataFrame:
        if not self.derived:
            return X
        made = {}
        for name, text in self.derived:
            tree = _parse(text)
            columns = {used: X[used].to_numpy() for used in expressions.names(tree)}
            made[name] = expressions.evaluate(tree, columns, len(X))
        return pd.concat([X, pd.DataFrame(made, index=X.index)], axis=1)
