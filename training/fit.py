"""The protocol that makes one version: choose, calibrate, set the threshold, evaluate.

Where the time column has more than one period, the earlier periods are fitted and the latest one
evaluates; otherwise out-of-fold scores of a cross-validation grouped by entity evaluate. What is
kept is the model that was evaluated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from monitoring.performance.evaluation import Evaluation, evaluate
from registry.configuration import Configuration, TrainingSettings
from registry.pipeline import frame_of
from training import candidates, threshold
from training.baselines import SingleFeatureRule, best_single_feature
from training.data import Dataset
from training.errors import NotEnoughDataError

Progress = Callable[[str], None]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CandidateResult:
    """Out-of-fold average precision of one candidate, one value a repeat."""

    name: str
    average_precision: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.average_precision))


@dataclass(frozen=True)
class Trained:
    """A fitted, calibrated model with everything that is said of it.

    `evaluated` are the rows that evaluate, `scores` what the model says of them without having seen
    their labels, shape (rows,).
    """

    model: Any
    candidates: tuple[CandidateResult, ...]
    chosen: str
    threshold: float
    protocol: str
    fitted: Dataset
    evaluated: Dataset
    scores: Floats
    evaluation: Evaluation
    flag_everyone: Evaluation
    rule: SingleFeatureRule
    rule_evaluation: Evaluation


def train(data: Dataset, configuration: Configuration, progress: Progress) -> Trained:
    """Run the whole protocol, on one thread: the same bytes whatever the machine's cores, and no
    slower than it must be where others use them too.

    Raises:
        NotEnoughDataError: too few rows of one class to fit, calibrate or evaluate.
    """
    with threadpool_limits(limits=1):
        return _train(data, configuration, progress)


def _train(data: Dataset, configuration: Configuration, progress: Progress) -> Trained:
    settings = configuration.training
    fitted, later = split_by_time(data)
    frame = frame_of(fitted.columns)
    results = _compare(fitted, configuration, progress)
    chosen = max(results, key=lambda result: result.mean).name
    pipeline = candidates.make(chosen, configuration.schema, settings.seed)
    progress(f"calibrate {chosen} and choose the threshold out of fold")
    splits = candidates.folds(fitted.target, fitted.entities, settings.folds, settings.seed)
    out_of_fold = _calibrated_out_of_fold(pipeline, fitted, splits, settings)
    cut = _threshold(fitted.target, out_of_fold, settings)
    progress(f"fit {chosen} on {fitted.rows} rows")
    model = candidates.calibrated(pipeline, splits, settings.calibration)
    model.fit(frame, fitted.target)
    model.set_params(cv=settings.folds)  # the row numbers of the splits are not part of a model
    evaluated = fitted if later is None else later
    scores = out_of_fold if later is None else _positive(model, later)
    progress(f"evaluate on {evaluated.rows} rows, {settings.bootstrap_resamples} resamples")
    rule = best_single_feature(fitted, configuration.schema, settings)
    return Trained(
        model=model,
        candidates=results,
        chosen=chosen,
        threshold=cut,
        protocol="cross-validation" if later is None else "temporal",
        fitted=fitted,
        evaluated=evaluated,
        scores=scores,
        evaluation=_evaluate(evaluated, scores, scores >= cut, settings),
        flag_everyone=_evaluate_rule(evaluated, np.ones(evaluated.rows, bool), settings),
        rule=rule,
        rule_evaluation=_evaluate_rule(
            evaluated, rule.flags(evaluated, configuration.schema), settings
        ),
    )


def split_by_time(data: Dataset) -> tuple[Dataset, Dataset | None]:
    """The earlier periods and the latest one; the second is None where there is one period only.

    Raises:
        NotEnoughDataError: a side lacks a class.
    """
    if data.rows == 0:
        raise NotEnoughDataError("no row has a label, so there is nothing to learn from")
    sides: list[Dataset] = [data]
    if data.periods is not None and len(np.unique(data.periods)) > 1:
        latest = data.periods == np.max(data.periods)
        sides = [data.take(~latest), data.take(latest)]
    for side, what in zip(sides, ("fit", "evaluate"), strict=False):
        if len(np.unique(side.target)) < 2:
            raise NotEnoughDataError(f"the rows to {what} hold one class only ({side.rows} rows)")
    return sides[0], sides[1] if len(sides) == 2 else None


def _compare(
    data: Dataset, configuration: Configuration, progress: Progress
) -> tuple[CandidateResult, ...]:
    """Out-of-fold average precision of each candidate over the repeats."""
    settings = configuration.training
    frame = frame_of(data.columns)
    results = []
    for name in settings.candidates:
        pipeline = candidates.make(name, configuration.schema, settings.seed)
        values = []
        for repeat in range(settings.repeats):
            progress(f"compare {name}, repeat {repeat + 1} of {settings.repeats}")
            splits = candidates.folds(
                data.target, data.entities, settings.folds, settings.seed + repeat
            )
            scores = np.empty(data.rows)
            for fit_rows, test_rows in splits:
                part = clone(pipeline).fit(frame.iloc[fit_rows], data.target[fit_rows])
                scores[test_rows] = part.predict_proba(frame.iloc[test_rows])[:, 1]
            values.append(float(average_precision_score(data.target, scores)))
        results.append(CandidateResult(name, tuple(values)))
    return tuple(results)


def _calibrated_out_of_fold(
    pipeline: Any, data: Dataset, splits: Sequence[candidates.Split], settings: TrainingSettings
) -> Floats:
    """Scores of shape (rows,) from models that saw neither the row nor its entity."""
    frame = frame_of(data.columns)
    scores = np.empty(data.rows)
    for fit_rows, test_rows in splits:
        inner = candidates.folds(
            data.target[fit_rows], data.entities[fit_rows], settings.folds, settings.seed
        )
        model = candidates.calibrated(clone(pipeline), inner, settings.calibration)
        model.fit(frame.iloc[fit_rows], data.target[fit_rows])
        scores[test_rows] = model.predict_proba(frame.iloc[test_rows])[:, 1]
    return scores


def _threshold(target: NDArray[np.int8], scores: Floats, settings: TrainingSettings) -> float:
    if settings.threshold_rule == "capacity":
        return threshold.for_capacity(scores, settings.capacity_share)
    return threshold.for_recall(target, scores, settings.target_recall)


def _positive(model: Any, data: Dataset) -> Floats:
    return np.asarray(model.predict_proba(frame_of(data.columns))[:, 1], dtype=np.float64)


def _evaluate(
    data: Dataset, scores: Floats, flags: NDArray[np.bool_], settings: TrainingSettings
) -> Evaluation:
    return evaluate(
        data.target,
        scores,
        flags,
        data.entities,
        resamples=settings.bootstrap_resamples,
        seed=settings.seed,
    )


def _evaluate_rule(
    data: Dataset, flags: NDArray[np.bool_], settings: TrainingSettings
) -> Evaluation:
    """A rule's score is its flag."""
    return _evaluate(data, flags.astype(np.float64), flags, settings)
