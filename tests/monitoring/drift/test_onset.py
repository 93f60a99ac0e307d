"""The change point, against brute force and on streams whose onset is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from monitoring.drift.onset import onset, trend

REFERENCE = np.array([300.0, 400, 200, 100])
DRIFTED = np.array([0.1, 0.2, 0.3, 0.4])


@given(arrays(np.int64, st.tuples(st.integers(1, 9), st.just(4)), elements=st.integers(0, 50)))
def test_onset_has_the_largest_divergence_of_all_splits(series: np.ndarray) -> None:
    if series.sum() == 0:
        with pytest.raises(ValueError, match="rows"):
            onset(REFERENCE, list(series))
        return
    gains = []
    for split in range(len(series)):
        since = series[split:].sum(axis=0)
        smooth = since + 0.5
        # n KL(since, reference), the shares smoothed by half a count.
        cross = -np.sum(since * np.log((REFERENCE + 0.5) / (REFERENCE + 0.5).sum()))
        own = -np.sum(since * np.log(smooth / smooth.sum()))
        gains.append(cross - own if series[split].sum() else -np.inf)
    found = onset(REFERENCE, list(series))
    assert gains[found] == pytest.approx(max(gains), abs=1e-6)


def test_gain_is_rows_times_divergence_for_a_clean_break() -> None:
    """With many rows, moving the split either way loses; scipy's divergence says how much."""
    before = np.round(REFERENCE / REFERENCE.sum() * 1000).astype(int)
    after = np.round(DRIFTED * 1000).astype(int)
    assert entropy(DRIFTED, REFERENCE / REFERENCE.sum()) > 0.3
    assert onset(REFERENCE, [before, before, after, after, after]) == 2


@pytest.mark.parametrize("start", [0, 1, 3, 6])
def test_onset_is_right_to_the_day_at_thirty_rows_a_day(start: int) -> None:
    rng = np.random.default_rng(start)
    p = REFERENCE / REFERENCE.sum()
    right = 0
    for _ in range(200):
        week = [rng.multinomial(30, DRIFTED if day >= start else p) for day in range(7)]
        right += onset(REFERENCE, week) == start
    assert right >= 180


def test_hours_without_rows_are_no_onset() -> None:
    empty, after = np.zeros(4, dtype=int), np.array([3, 6, 9, 12])
    assert onset(REFERENCE, [empty, empty, after, after]) == 2


def test_a_drift_that_grows_is_rising_and_one_that_ends_is_falling() -> None:
    p = REFERENCE / REFERENCE.sum()
    mixed = [np.round(500 * ((1 - w) * p + w * DRIFTED)) for w in np.linspace(0.2, 1, 8)]
    assert trend(REFERENCE, mixed) == "rising"
    assert trend(REFERENCE, mixed[::-1]) == "falling"
    assert trend(REFERENCE, [mixed[-1]] * 8) == "steady"


def test_one_hour_has_no_trend() -> None:
    assert trend(REFERENCE, [np.array([1, 2, 3, 4])]) is None
