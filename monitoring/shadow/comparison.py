"""What differs between a champion and the challenger in its shadow, on the rows that both scored.

No files, no clock: pairs in, the report's figures out, the same for the same rows. "Champion" is
whichever version answered a row.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from monitoring.performance.evaluation import Estimate, rate
from monitoring.performance.outcomes import CONFLICT, Outcomes
from monitoring.reference.profiling import build_reference
from monitoring.shadow.answers import Answers
from monitoring.shadow.pairs import Changed, Pairs
from monitoring.statistics import psi
from monitoring.times import EPOCH
from registry import guardrails
from registry.configuration import GuardrailSettings

Floats = NDArray[np.float64]

SEED = 0  # the same rows always get the same report
_CONFIDENCE = 0.95
_DIGITS = 6


def compare(
    pairs: Pairs, answers: Answers, *, challenger: str, limits: GuardrailSettings
) -> dict[str, Any]:
    """The part of the document that comes from the rows; one pair at least."""
    outcomes = pairs.outcomes
    scores, flags = answers.scores[pairs.places], answers.flags[pairs.places]
    versions = answers.versions[pairs.places]
    return {
        "rows": len(pairs),
        "entities": len(np.unique(outcomes.entities)),
        "coverage": _coverage(pairs, answers, challenger),
        "disagreement": rate(flags != outcomes.flags, outcomes.entities).estimate.to_dict(),
        "score": _shift(scores, outcomes),
        "flagged": {
            "champion": int(np.count_nonzero(flags)),
            "challenger": int(np.count_nonzero(outcomes.flags)),
            "newly": _changed(pairs.newly, outcomes.flags & ~flags),
            "no_longer": _changed(pairs.no_longer, flags & ~outcomes.flags),
        },
        "labels": {
            "labelled": int(np.count_nonzero(outcomes.labelled)),
            "positives": int(np.count_nonzero(outcomes.labels == 1)),
            "conflicts": int(np.count_nonzero(outcomes.labels == CONFLICT)),
            "champion": _rates(flags, outcomes),
            "challenger": _rates(outcomes.flags, outcomes),
            "verdicts": [
                {"champion": name}
                | _verdict(scores[mask], flags[mask], outcomes.take(mask), limits)
                for code, name in enumerate(answers.names)
                if (mask := (versions == code) & outcomes.labelled).any()
            ],
        },
    }


def mean_difference(differences: Floats, entities: NDArray[np.int64]) -> Estimate:
    """The mean of differences, shape (rows,), with its 95 % interval by Student's t.

    Rows of one entity (0, 1, …) are alike, so the variance is that of a ratio of sums over entities
    (Cochran, 1977, Sampling Techniques, 6.3), which is the ordinary one where no entity repeats.
    With one entity there is no interval.
    """
    mean = float(differences.mean())
    counts = np.bincount(entities)
    present = counts > 0
    totals = np.bincount(entities, weights=differences)[present] - mean * counts[present]
    groups = len(totals)
    if groups < 2:
        return Estimate(_rounded(mean), None, None)
    variance = groups / (groups - 1) * float((totals**2).sum()) / len(differences) ** 2
    half = float(stdtrit(groups - 1, 0.5 + _CONFIDENCE / 2)) * math.sqrt(variance)
    return Estimate(_rounded(mean), _rounded(mean - half), _rounded(mean + half))


def _coverage(pairs: Pairs, answers: Answers, challenger: str) -> dict[str, Any]:
    """How many of the answers the challenger scored. Between the first and the last that it did, it
    was in the shadow; what it answered itself as a champion has no shadow."""
    others = np.array([name != challenger for name in answers.names])[answers.versions]
    scored = np.zeros(len(answers), dtype=np.bool_)
    scored[pairs.places] = True
    first, last = pairs.outcomes.times.min(), pairs.outcomes.times.max()
    meanwhile = others & (answers.times >= first) & (answers.times <= last)
    return {
        "answers": int(np.count_nonzero(others)),
        "scored": len(pairs),
        "share": _share(scored, others),
        "first": _time(int(first)),
        "last": _time(int(last)),
        "share_meanwhile": _share(scored, meanwhile),
        "champions": [
            {
                "model_version": name,
                "answers": int(np.count_nonzero(answers.versions == code)),
                "scored": int(np.count_nonzero(scored & (answers.versions == code))),
            }
            for code, name in enumerate(answers.names)
            if name != challenger
        ],
    }


def _shift(champion: Floats, outcomes: Outcomes) -> dict[str, Any]:
    """How the scores of the same rows differ; the champion's are the reference of the PSI."""
    differences = outcomes.scores - champion
    entities = len(np.unique(outcomes.entities))
    profile = build_reference({}, {}, champion, entities).score
    return {
        "champion_mean": _rounded(float(champion.mean())),
        "challenger_mean": _rounded(float(outcomes.scores.mean())),
        "difference": mean_difference(differences, outcomes.entities).to_dict(),
        "mean_absolute_difference": _rounded(float(np.abs(differences).mean())),
        "psi": _rounded(psi(profile.counts, profile.count(outcomes.scores))),
    }


def _changed(shown: Sequence[Changed], mask: NDArray[np.bool_]) -> dict[str, Any]:
    rows = int(np.count_nonzero(mask))
    return {
        "rows": rows,
        "cut": len(shown) < rows,
        "shown": [changed._asdict() for changed in shown],
    }


def _rates(flags: NDArray[np.bool_], outcomes: Outcomes) -> dict[str, Any]:
    positive, flagged = outcomes.labels == 1, flags & outcomes.labelled
    recall = rate(flags[positive], outcomes.entities[positive])
    precision = rate(positive[flagged], outcomes.entities[flagged])
    return {"recall": recall.estimate.to_dict(), "precision": precision.estimate.to_dict()}


def _verdict(
    scores: Floats, flags: NDArray[np.bool_], known: Outcomes, limits: GuardrailSettings
) -> dict[str, Any]:
    """The guardrails on labelled rows that one champion answered, one at least."""
    segments = {name: column.texts() for name, column in known.columns.items()}
    return guardrails.compare(
        guardrails.Rows(known.labels, known.entities.astype(np.int64), segments),
        guardrails.Scored(scores, _threshold(scores, flags)),
        guardrails.Scored(known.scores, _threshold(known.scores, known.flags)),
        limits,
        seed=SEED,
    ).to_dict()


def _threshold(scores: Floats, flags: NDArray[np.bool_]) -> float:
    """One that gives the flags that were logged: the least score that is flagged."""
    return float(scores[flags].min(initial=np.inf))


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    rows = int(np.count_nonzero(whole))
    return _rounded(np.count_nonzero(part & whole) / rows) if rows else None


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _time(micros: int) -> str:
    return (EPOCH + timedelta(microseconds=micros)).isoformat(timespec="seconds")
