"""Where a score becomes a flag: chosen out of fold, never on the rows that evaluate."""

import numpy as np
from numpy.typing import NDArray


def for_recall(
    target: NDArray[np.int8], scores: NDArray[np.float64], target_recall: float
) -> float:
    """The threshold with the best precision among those whose recall is at least `target_recall`.

    Both arrays have shape (rows,) with at least one positive; a row is flagged when its score is at
    least the threshold. Of equal precision the higher threshold wins: it flags fewer.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.append(np.diff(ranked) != 0, True)
    caught = np.cumsum(target[order])[last_of_tie]
    flagged = np.flatnonzero(last_of_tie) + 1
    enough = caught / caught[-1] >= target_recall
    precision = np.where(enough, caught / flagged, -1.0)
    return float(ranked[last_of_tie][int(np.argmax(precision))])


def for_capacity(scores: NDArray[np.float64], share: float) -> float:
    """The lowest threshold that flags at most `share` of the rows (the team's capacity); where the
    share allows not even those with the highest score, exactly those."""
    ranked = np.sort(scores)[::-1]
    allowed = int(share * len(ranked) + 1e-9)  # 0.29 of 100 is 29, not the 28.999… of a float
    thresholds = np.unique(ranked)[::-1]
    flagged = np.searchsorted(-ranked, -thresholds, side="right")
    fitting = thresholds[flagged <= allowed]
    return float(fitting[-1] if len(fitting) else thresholds[0])
