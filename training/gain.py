"""Is retraining worth it? What a challenger gains over the champion on the rows that evaluate it,
with the interval that chance leaves. Pure.

The answer rests on PR-AUC: it judges the ranking at every threshold at once, so that it depends on
neither version's own threshold, and it spends its attention on the positives, which recall does
too, at one threshold and with far more noise. Recall for as many flags as the champion's stands
beside it, as what a team with so many hands would see.

Both models are resampled together, whole entities at a time (a paired cluster bootstrap; Field and
Welsh, 2007), so that what makes a resample hard for both cancels out of the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monitoring.performance.evaluation import ALL_METRICS, Estimate, Sample, estimate, row_weights
from registry.guardrails import Rows, Scored

Answer = Literal["yes", "no", "not_shown"]
Reason = Literal["gain", "no_gain", "wide", "few_positives", "seen"]

METRIC = "pr_auc"
EQUAL_FLAGS = "recall_equal_flags"
DIFFERENCES = ("pr_auc", "roc_auc", "recall", "precision", "brier", EQUAL_FLAGS)
MARGIN = 0.01
"""A gain that is at most this much is not worth a new version."""


@dataclass(frozen=True)
class Gain:
    """Challenger less champion: each difference with its 95 % interval, None where undefined. A
    lower Brier score is better, so its gain is below 0."""

    answer: Answer
    reason: Reason
    differences: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        return {
            "answer": self.answer,
            "reason": self.reason,
            "metric": METRIC,
            "margin": MARGIN,
            "differences": {name: self.differences[name].to_dict() for name in DIFFERENCES},
        }


def measure(
    rows: Rows,
    champion: Scored,
    challenger: Scored,
    *,
    resamples: int,
    seed: int,
    min_positives: int,
    seen: bool = False,
) -> Gain:
    """Compare both on the same rows.

    With fewer than `min_positives` entities that have a positive, nothing is answered. `seen` says
    that the champion may have been fitted on some of the rows: that flatters it, so a gain stands,
    and the lack of one shows nothing.
    """
    differences = _differences(rows, champion, challenger, resamples, seed)
    positives = len(np.unique(rows.entities[rows.target == 1]))
    if positives < min_positives:
        return Gain("not_shown", "few_positives", differences)
    answer, reason = _answer(differences[METRIC])
    if answer == "no" and seen:
        return Gain("not_shown", "seen", differences)
    return Gain(answer, reason, differences)


def flags_of_equal_number(scores: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """The `count` highest scores, fewer where a tie would make it more: shape (rows,)."""
    ranked = np.sort(scores)[::-1]
    if count >= len(ranked):
        return np.ones(len(scores), dtype=np.bool_)
    return np.asarray(scores > ranked[count])


def _differences(
    rows: Rows, champion: Scored, challenger: Scored, resamples: int, seed: int
) -> dict[str, Estimate]:
    target = rows.target
    equal = flags_of_equal_number(challenger.scores, int(np.count_nonzero(champion.flags)))
    before = Sample(target, champion.scores, champion.flags)
    after = Sample(target, challenger.scores, challenger.flags)
    chosen = [ALL_METRICS.index(name) for name in DIFFERENCES if name != EQUAL_FLAGS]
    # Recall is a sum over the positives, so the gain at equal flags is one of signed positives.
    more = (equal.astype(np.float64) - champion.flags) * target

    def differ(weights: NDArray[np.float64]) -> list[float]:
        known = (after.metrics(weights) - before.metrics(weights))[chosen]
        positives = float(weights @ target)
        return [*known.tolist(), float(weights @ more) / positives if positives else np.nan]

    point = differ(np.ones(len(target)))
    draws = np.array(
        [differ(weights) for weights in row_weights(rows.entities, resamples=resamples, seed=seed)]
    )
    return {name: estimate(point[at], draws[:, at]) for at, name in enumerate(DIFFERENCES)}


def _answer(found: Estimate) -> tuple[Answer, Reason]:
    if found.low is None or found.high is None:
        return "not_shown", "few_positives"
    if found.high < MARGIN:
        return "no", "no_gain"
    if found.low > 0:
        return "yes", "gain"
    return "not_shown", "wide"
