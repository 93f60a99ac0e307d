"""Since when: the maximum likelihood change point of a series of histograms, and its trend."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitoring.statistics import psi, psi_noise

Trend = Literal["rising", "falling", "steady"]
GREW = 1.25  # the later half's PSI to the earlier half's


def onset(reference_counts: ArrayLike, series: Sequence[ArrayLike]) -> int:
    """The index of the first histogram that differs from the reference.

    Rows up to the onset are taken to follow the reference's shares, those from it on shares of
    their own; the onset is where that is most likely: the largest n * KL(since, reference) over
    all splits, n being the rows since (Hinkley 1970, with the first distribution known).
    `reference_counts` has shape (bins,), `series` holds at least one histogram over the same bins.
    Raises ValueError if the series is empty or holds no rows.
    """
    window = np.array(series, dtype=np.float64)
    if window.ndim != 2 or window.sum() == 0:
        raise ValueError("an onset needs a series of histograms with rows")
    shares = _shares(np.asarray(reference_counts, dtype=np.float64))
    since = np.cumsum(window[::-1], axis=0)[::-1]
    gain = np.sum(since * (np.log(_shares(since)) - np.log(shares)), axis=1)
    # Before an hour without rows the split is the same; the first row since is what is meant.
    gain[window.sum(axis=1) == 0] = -np.inf
    return int(np.argmax(gain))


def trend(reference_counts: ArrayLike, since: Sequence[ArrayLike]) -> Trend | None:
    """Whether the PSI of the later half of the histograms is larger than that of the earlier half,
    less what noise alone gives; None where a half has no rows."""
    window = np.array(since, dtype=np.float64)
    middle = len(window) // 2
    halves = [window[:middle].sum(axis=0), window[middle:].sum(axis=0)]
    if min(half.sum() for half in halves) < 1:
        return None
    earlier, later = (_excess(np.asarray(reference_counts, dtype=np.float64), h) for h in halves)
    if later > GREW * earlier:
        return "rising"
    return "falling" if earlier > GREW * later else "steady"


def _excess(reference: NDArray[np.float64], window: NDArray[np.float64]) -> float:
    bins = int(np.count_nonzero(reference + window))
    noise = psi_noise(bins, int(reference.sum()), int(window.sum()))
    return max(psi(reference, window) - noise, noise)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares along the last axis, half a count in each bin, so that none is 0."""
    smooth = counts + 0.5
    return np.asarray(smooth / smooth.sum(axis=-1, keepdims=True))
