"""A challenger beside the champion as one document: strict JSON, from which terminal and page are
made. Pure.

Shares and metrics are fractions of 1, `null` is undefined and never 0, an INTERVAL is
`{"value", "low", "high"}` at 95 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.performance.evaluation import Evaluation, calibration_bins, rate
from registry.guardrails import Rows, Scored
from training.fit import Trained
from training.gain import Gain

_MOST_POINTS = 200  # of a curve: more cannot be told apart


@dataclass(frozen=True)
class View:
    """One version's view of the rows that evaluate the challenger."""

    version: str
    scored: Scored
    evaluation: Evaluation


@dataclass(frozen=True)
class Comparison:
    """What was found. `champion` and `gain` are None where there is nothing to compare with, and
    `problem` says why, unless there is no champion at all; `seen` says that the champion may have
    been fitted on the rows."""

    model: str
    rows: Rows
    challenger: View
    champion: View | None
    champion_version: str | None
    gain: Gain | None
    verdict: Mapping[str, Any]
    problem: str = ""
    seen: bool = False


def document(found: Comparison, trained: Trained, source: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the document that is known before anything is registered."""
    views = {"champion": found.champion, "challenger": found.challenger}
    return {
        "kind": "comparison",
        "schema": 1,
        "model": found.model,
        "model_version": found.challenger.version,
        "champion_version": found.champion_version,
        "answer": answer(found),
        "problem": found.problem,
        "data": dict(source),
        "training": {
            "algorithm": trained.chosen,
            "protocol": trained.protocol,
            "fitted_rows": trained.fitted.rows,
            "fitted_periods": _periods(trained.fitted.periods),
            "evaluated_periods": _periods(trained.evaluated.periods),
        },
        "held_out": {
            "rows": len(found.rows.target),
            "positives": int(found.rows.target.sum()),
            "entities": len(np.unique(found.rows.entities)),
            "champion_may_know_them": found.seen,
        },
        "models": {
            who: None if view is None else _view(view, found.rows) for who, view in views.items()
        },
        "gain": None if found.gain is None else found.gain.to_dict(),
        "verdict": dict(found.verdict),
    }


def answer(found: Comparison) -> str:
    """`yes`, `no` or `not_shown`; `first` where there is no champion, `not_comparable` where the
    two cannot be held against each other."""
    if found.gain is not None:
        return found.gain.answer
    return "not_comparable" if found.problem else "first"


def precision_recall(target: NDArray[np.int8], scores: NDArray[np.float64]) -> list[list[float]]:
    """Recall and precision at falling thresholds, one point a distinct score, 200 at most with both
    ends; empty without positives."""
    positives = int(target.sum())
    if positives == 0:
        return []
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    caught = np.cumsum(target[order])[last_of_tie]
    places = np.arange(len(last_of_tie))
    if len(places) > _MOST_POINTS:
        places = np.unique(np.linspace(0, len(places) - 1, _MOST_POINTS).round().astype(int))
    recall, precision = caught / positives, caught / (last_of_tie + 1)
    return [[round(float(recall[at]), 6), round(float(precision[at]), 6)] for at in places]


def _view(view: View, rows: Rows) -> dict[str, Any]:
    return {
        "version": view.version,
        "threshold": view.scored.threshold,
        **view.evaluation.to_dict(),
        "precision_recall": precision_recall(rows.target, view.scored.scores),
        "calibration": _calibration(rows, view.scored.scores),
    }


def _calibration(rows: Rows, scores: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Up to ten bins of equal mass, lowest scores first: mean score, and the share that came
    true."""
    codes = np.unique(rows.entities, return_inverse=True)[1]
    return [
        {
            "score": round(float(scores[part].mean()), 6),
            "observed": rate(rows.target[part] == 1, codes[part]).estimate.to_dict(),
            "rows": len(part),
        }
        for part in calibration_bins(scores)
    ]


def _periods(values: NDArray[Any] | None) -> list[Any] | None:
    return None if values is None else sorted(set(values.tolist()))
