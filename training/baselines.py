"""What one column alone can do: the rule that a model must beat, and the column that gives the
answer away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from registry.configuration import TrainingSettings
from registry.pipeline import PrepareColumns, frame_of
from registry.schema import Schema
from training import threshold
from training.data import Dataset
from training.errors import LeakageError


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
        auc = _auc(data.target, values)
        if max(auc, 1 - auc) > reached and not np.isnan(values).all():
            reached = max(auc, 1 - auc)
            sign = 1 if auc >= 0.5 else -1
            ranked = _null_last(sign * values)
            cut = (
                threshold.for_capacity(ranked, settings.capacity_share)
                if settings.threshold_rule == "capacity"
                else threshold.for_recall(data.target, ranked, settings.target_recall)
            )
            best = SingleFeatureRule(name, sign, cut)
    return best


def refuse_leakage(data: Dataset, schema: Schema, limit: float) -> None:
    """Refuse data in which one declared feature alone predicts the target better than `limit`.

    Raises:
        LeakageError: naming each such feature and its ROC-AUC.
    """
    if len(np.unique(data.target)) < 2:
        return
    found = []
    for feature in schema.features:
        values = data.columns[feature.name]
        if feature.type == "category":
            auc = roc_auc_score(data.target, _level_means(values, data))
        else:
            auc = _auc(data.target, values)
            auc = max(auc, 1 - auc)
        if auc > limit:
            found.append(f"{feature.name} (AUC {auc:.3f})")
    if found:
        raise LeakageError(
            f"target leakage: {', '.join(found)} alone gives the target away; drop it from "
            "`features`, or raise training.leakage_auc if it is known when the row is scored"
        )


def _numeric_columns(data: Dataset, schema: Schema) -> dict[str, NDArray[np.float64]]:
    prepare = PrepareColumns([[name, text] for name, text in schema.derived])
    frame = prepare.fit_transform(frame_of(data.columns))
    return {name: frame[name].to_numpy(dtype=np.float64) for name in schema.numeric}


def _auc(target: NDArray[np.int8], values: NDArray[np.float64]) -> float:
    if np.isnan(values).all():
        return 0.5
    return float(roc_auc_score(target, _null_last(values)))


def _null_last(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nulls below everything else, as one value."""
    if not np.isnan(values).any():
        return values
    lowest = np.nanmin(values) if not np.isnan(values).all() else 0.0
    return np.where(np.isnan(values), lowest - 1.0, values)


def _level_means(values: NDArray[Any], data: Dataset) -> NDArray[np.float64]:
    """The target's mean by level, taken on the other half of the entities, so that a level of one
    row does not count as knowledge."""
    half = data.entities % 2 == 0
    texts = pd.Series(values, dtype=object).fillna("\0")
    target = pd.Series(data.target)
    means = np.full(len(texts), float(data.target.mean()))
    for side in (half, ~half):
        table = target[~side].groupby(texts[~side]).mean()
        means[side] = (
            texts[side].map(table).astype(float).fillna(means[side][0] if side.any() else 0)
        )
    return means
