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
        whole = self._derive(_arrays(X), len(X))
        self.empty_ = [
            name
            for name, values in whole.items()
            if values.dtype != object and np.isnan(values).all()
        ]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return frame_of(self.prepare(_arrays(X), len(X))).set_axis(X.index)

    def prepare(self, columns: Mapping[str, NDArray[Any]], rows: int) -> dict[str, NDArray[Any]]:
        """The same for columns of shape (rows,) without a frame around them."""
        whole = self._derive(columns, rows)
        for name in self.empty_:
            whole[name] = np.zeros(rows)
        return whole

    def _derive(self, columns: Mapping[str, NDArray[Any]], rows: int) -> dict[str, NDArray[Any]]:
        made = {
            name: expressions.evaluate(_parse(text), columns, rows) for name, text in self.derived
        }
        return {**columns, **made}


def _arrays(X: pd.DataFrame) -> dict[str, NDArray[Any]]:
    return {str(name): values.to_numpy() for name, values in X.items()}
