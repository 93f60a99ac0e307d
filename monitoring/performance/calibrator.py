"""What a score means as a probability, learned from rows whose labels are known.

The reference is what evaluated the version: out-of-sample scores with their labels. It is kept
whole rather than as a fitted curve, because only from the rows can one tell how uncertain the
curve is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

Floats: TypeAlias = NDArray[np.float64]

MAX_ROWS = 20_000
_MIN_ENTITIES = 20  # fewer leave no one to test on
_SPLITS, _TEST_SHARE, _SPLIT_SEED, _BINS = 10, 0.1, 42, 10
_SEPARATED = 0.999


@dataclass(frozen=True, eq=False)
class CalibrationReference:
    """Scores in [0, 1], labels 0 or 1, and entities as codes below the number of rows; each of
    shape (rows,), one row at least. Raises ValueError on anything else."""

    scores: Floats
    labels: NDArray[np.int8]
    entities: NDArray[np.int64]
    decided: bool | None = None

    @cached_property
    def needs_curve(self) -> bool:
        """See `needs_calibration`. A version keeps what was decided at training: to decide takes
        the model's libraries, a second and 50 MB, which a report can do without."""
        return needs_calibration(self) if self.decided is None else self.decided

    def __post_init__(self) -> None:
        rows = len(self.scores)
        if rows == 0 or not rows == len(self.labels) == len(self.entities):
            raise ValueError(
                f"{rows} scores, {len(self.labels)} labels, {len(self.entities)} entities"
            )
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError("a score is not within 0..1")
        if not np.isin(self.labels, (0, 1)).all():
            raise ValueError("a label is not 0 or 1")
        if self.entities.min() < 0 or self.entities.max() >= rows:
            raise ValueError(f"an entity's code is not within 0..{rows - 1}")

    @classmethod
    def of(
        cls, scores: ArrayLike, labels: ArrayLike, entities: ArrayLike, *, seed: int
    ) -> "CalibrationReference":
        """From rows with entities of any kind, as much as a version keeps: scores in single
        precision, and of more than `MAX_ROWS` rows a sample of whole entities."""
        s = np.asarray(scores, dtype=np.float32).astype(np.float64)
        y, codes = np.asarray(labels, dtype=np.int8), _renumbered(np.asarray(entities))
        if len(s) == len(y) == len(codes) > MAX_ROWS:
            order = np.random.default_rng(seed).permutation(codes.max() + 1)
            fits = np.cumsum(np.bincount(codes)[order]) <= MAX_ROWS
            fits[0] = True  # of one huge entity, its first rows
            kept = np.flatnonzero(np.isin(codes, order[fits]))[:MAX_ROWS]
            s, y, codes = s[kept], y[kept], _renumbered(codes[kept])
        return cls(s, y, codes)

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON; scores as the shortest decimals that single precision tells apart, so that
        `from_dict` restores what `of` made exactly."""
        return {
            "scores": [float(str(score)) for score in self.scores.astype(np.float32)],
            "labels": "".join(map(str, self.labels.tolist())),
            "entities": self.entities.tolist(),
            "needs_curve": self.needs_curve,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "CalibrationReference":
        """The reference that `to_dict` wrote. Raises ValueError, in one line, on anything else."""
        try:
            if set(document) != {"scores", "labels", "entities", "needs_curve"}:
                raise ValueError("scores, labels, entities and needs_curve are expected, no more")
            if not isinstance(document["needs_curve"], bool):
                raise ValueError("needs_curve is not true or false")
            labels = document["labels"]
            if not isinstance(labels, str) or set(labels) - {"0", "1"}:
                raise ValueError("labels are not a text of 0 and 1")
            return cls(
                _numbers(document["scores"]).astype(np.float32).astype(np.float64),
                np.array([*labels], dtype=np.int8),
                _whole(document["entities"]),
                document["needs_curve"],
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"calibration reference: {error}") from error


@dataclass(frozen=True, eq=False)
class Calibrator:
    """A curve from score to probability, linear between its knots and flat outside them."""

    kind: Literal["isotonic", "none"]
    scores: Floats
    probabilities: Floats

    def __call__(self, scores: Floats) -> Floats:
        return np.interp(scores, self.scores, self.probabilities)


IDENTITY = Calibrator("none", np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def isotonic(scores: Floats, rows: Floats, positives: Floats) -> Calibrator:
    """Isotonic regression (least squares, pool adjacent violators) of the share of positives on
    distinct ascending scores, each of shape (scores,). A score without rows is left out."""
    met = rows > 0
    fitted = isotonic_regression(positives[met] / rows[met], weights=rows[met])
    return Calibrator("isotonic", scores[met], np.asarray(fitted.x, dtype=np.float64))


def fit(scores: Floats, labels: NDArray[np.int8]) -> Calibrator:
    """Isotonic regression of label on score, both of shape (rows,)."""
    values, slots = np.unique(scores, return_inverse=True)
    rows, positives = (
        np.bincount(slots, weights=weights).astype(np.float64)
        for weights in (np.ones(len(scores)), labels)
    )
    return isotonic(values, rows, positives)


def needs_calibration(reference: CalibrationReference) -> bool:
    """Whether isotonic regression brings scores closer to the shares of positives out of fold.

    The rule is NannyML's, so that both decide alike: ten times a tenth is held out, stratified by
    label; over all rows held out, the expected calibration error (ten bins of equal mass) must be
    lower with the curve fitted on the others than without. Here whole entities are held out,
    stratified by whether they have a positive. No where there are too few entities to tell, or
    where scores separate the classes: the curve would be a step that calls everything certain.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedShuffleSplit

    scores, labels = reference.scores, reference.labels
    positive = np.bincount(reference.entities, weights=labels) > 0
    if len(positive) < _MIN_ENTITIES or not 2 <= positive.sum() <= len(positive) - 2:
        return False
    if roc_auc_score(labels, scores) > _SEPARATED:
        return False
    splits = StratifiedShuffleSplit(_SPLITS, test_size=_TEST_SHARE, random_state=_SPLIT_SEED)
    held_out, calibrated = [], []
    for _, tested in splits.split(positive, positive):
        is_tested = np.isin(reference.entities, tested)
        curve = fit(scores[~is_tested], labels[~is_tested])
        # In the order drawn: where the curve ties scores, it decides which bin a row falls into.
        rows = tested if len(positive) == len(scores) else np.flatnonzero(is_tested)
        held_out.append(rows)
        calibrated.append(curve(scores[rows]))
    rows = np.concatenate(held_out)
    after = _calibration_error(np.concatenate(calibrated), labels[rows])
    return _calibration_error(scores[rows], labels[rows]) > after


def _calibration_error(probabilities: Floats, labels: NDArray[np.int8]) -> float:
    """Expected calibration error over bins of equal mass, the last with the rows left over."""
    order = np.argsort(probabilities, kind="stable")
    size = max(1, len(order) // _BINS)
    starts = np.arange(min(_BINS, len(order))) * size
    gaps = np.add.reduceat((probabilities - labels)[order], starts)
    return float(np.abs(gaps).sum() / len(order))


def _renumbered(entities: NDArray[Any]) -> NDArray[np.int64]:
    """Codes 0, 1, 2, … in the order in which entities first appear."""
    _, first, codes = np.unique(entities, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[codes], dtype=np.int64)


def _numbers(values: Any) -> Floats:
    if not isinstance(values, list) or {type(value) for value in values} - {int, float}:
        raise ValueError("scores are not a list of numbers")
    return np.array(values, dtype=np.float64)


def _whole(values: Any) -> NDArray[np.int64]:
    if not isinstance(values, list) or {type(value) for value in values} - {int}:
        raise ValueError("entities are not a list of whole numbers")
    return np.array(values, dtype=np.int64)
