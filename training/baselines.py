"""What one column alone can do: the rule that a model must beat, and the column that gives the
answer away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from registry import expressions
from registry.configuration import TrainingSettings
from registry.schema import Schema
from training import threshold
from training.data import Dataset
from training.errors import LeakageError

_ENOUGH = 10  # rows of each class; fewer are told apart by luck


@dataclass(frozen=True)
class SingleFeatureRule:
    """Flag a row when `sign * value >= cut`; a null is not flagged."""

    column: str
    sign: int
    cut: float

    def __str__(self) -> str:
        return f"{self.column} {'>=' if self.sign > 0 else '<='} {self.sign * self.cut:g}"

    def flags(self, data: Dataset, schema: Schema) -> NDArray[np.bool_]:
        """Which rows the rule flags, shape (rows,)."""
        values = _numeric_columns(data, schema)[self.column]
        with np.errstate(invalid="ignore"):
            return np.asarray(self.sign * values >= self.cut)


def best_single_feature(
    data: Dataset, schema: Schema, settings: TrainingSettings
) -> SingleFeatureRule:
    """The numeric column, derived ones included, that ranks the target best alone, cut by the same
    threshold rule as the model. A schema without numbers has a rule that flags nobody."""
    best = SingleFeatureRule("(no numeric column)", 1, np.inf)
    reached = 0.0
    for name, values in _numeric_columns(data, schema).items():
        if np.isnan(values).all():
            continue
        for sign in (1, -1):
            ranked = _null_last(sign * values)
            auc = float(roc_auc_score(data.target, ranked))
            if auc > reached:
                reached = auc
                cut = (
                    threshold.for_capacity(ranked, settings.capacity_share)
                    if settings.threshold_rule == "capacity"
                    else threshold.for_recall(data.target, ranked, settings.target_recall)
                )
                best = SingleFeatureRule(name, sign, max(cut, float(np.nanmin(sign * values))))
    return best


def refuse_leakage(data: Dataset, schema: Schema, limit: float) -> None:
    """Refuse data in which one column alone, derived ones included, predicts the target better
    than `limit`, by its values or by where it has one.

    Raises:
        LeakageError: naming each such column and its ROC-AUC.
    """
    if len(np.unique(data.target)) < 2:
        return
    ranks = _numeric_columns(data, schema)
    known = {name: ~np.isnan(values) for name, values in ranks.items()}
    for name in schema.categorical:
        known[name] = pd.Series(data.columns[name], dtype=object).notna().to_numpy()
        ranks[name] = _level_means(data.columns[name], data)
    found = []
    for name, values in ranks.items():
        auc = _separation(data.target, values, known[name])
        if auc > limit:
            found.append(f"{name} (AUC {auc:.3f})")
    if found:
        raise LeakageError(
            f"target leakage: {', '.join(found)} alone gives the target away; drop it from "
            "`features`, or raise training.leakage_auc if it is known when the row is scored"
        )


def _numeric_columns(data: Dataset, schema: Schema) -> dict[str, NDArray[np.float64]]:
    """Declared and derived columns in which null stays NaN, whatever else is in `data`."""
    declared = (name for name, kind in schema.kinds.items() if kind != "category")
    columns = {name: data.columns[name] for name in declared}
    for name, text in schema.derived:
        columns[name] = expressions.evaluate(expressions.parse(text), data.columns, data.rows)
    return columns


def _separation(
    target: NDArray[np.int8], values: NDArray[np.float64], known: NDArray[np.bool_]
) -> float:
    """The best ROC-AUC in either direction: with nulls at either end, and among the known alone,
    for a column that repeats the target is leakage where half of it is null, too."""
    views = [(target, _null_last(sign * values)) for sign in (1, -1)]
    if np.bincount(target[known], minlength=2).min() >= _ENOUGH:
        views.append((target[known], values[known]))
    aucs = [float(roc_auc_score(labels, ranked)) for labels, ranked in views]
    return max(max(auc, 1 - auc) for auc in aucs)


def _null_last(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nulls below everything else, as one value."""
    null = np.isnan(values)
    return np.where(null, 0.0 if null.all() else np.nanmin(values) - 1.0, values)


def _level_means(values: NDArray[Any], data: Dataset) -> NDArray[np.float64]:
    """The target's mean by level, taken on the other half of the entities, so that a level of one
    row does not count as knowledge."""
    half = data.entities % 2 == 0
    texts = pd.Series(values, dtype=object).fillna("\0")
    target = pd.Series(data.target)
    means = np.empty(len(texts))
    for side in (half, ~half):
        table = target[~side].groupby(texts[~side]).mean()
        means[side] = texts[side].map(table).astype(float).fillna(float(data.target.mean()))
    return means
