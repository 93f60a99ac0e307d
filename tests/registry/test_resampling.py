"""Intervals against closed forms and against scipy, never against what they printed before."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from registry.resampling import adjusted_wald, noisy_percentiles, percentiles, roc_auc, weights

Z = float(norm.ppf(0.95))


def cells(both: int, first: int, second: int, none: int) -> np.ndarray:
    """Flags of two models on positives, shape (2, rows)."""
    pairs = [(1.0, 1.0)] * both + [(1.0, 0.0)] * first + [(0.0, 1.0)] * second + [(0.0, 0.0)] * none
    return np.array(pairs).T


@given(*[st.integers(0, 40)] * 4, st.integers(1, 4))
def test_recall_has_agresti_and_mins_interval_whatever_the_rows_of_an_entity(
    both: int, first: int, second: int, none: int, repeats: int
) -> None:
    """With half a count in each cell: (c - b)/n ± z sqrt(b + c - (b - c)²/n)/n. Rows that repeat
    their entity's say nothing new."""
    if both + first + second + none == 0:
        return
    flags = np.repeat(cells(both, first, second, none), repeats, axis=1)
    codes = np.repeat(np.arange(flags.shape[1] // repeats), repeats)
    found = adjusted_wald("recall", np.ones(flags.shape[1]), flags, codes, 0.90)
    b, c, n = first + 0.5, second + 0.5, both + first + second + none + 2
    half = Z * math.sqrt(b + c - (b - c) ** 2 / n) / n
    expected = (max(-1, (c - b) / n - half), min(1, (c - b) / n + half))
    assert found == pytest.approx(expected, abs=1e-12)


def test_precision_of_many_rows_has_the_linearised_interval() -> None:
    """Two models that flag other rows: then the variances of two independent shares add up."""
    target = np.tile([1.0, 1.0, 1.0, 0.0], 20_000)
    flags = np.zeros((2, len(target)))
    flags[0, :40_000] = flags[1, 40_000:] = 1
    low, high = adjusted_wald("precision", target, flags, np.arange(len(target)), 0.90)
    half = Z * math.sqrt(2 * 0.75 * 0.25 / 40_000)
    assert (low, high) == pytest.approx((-half, half), rel=1e-3)


def test_no_disagreement_seen_is_no_certainty() -> None:
    flags = cells(3, 0, 0, 0)
    low, high = adjusted_wald("precision", np.ones(3), flags, np.arange(3), 0.90)
    assert low < -0.2
    assert high > 0.2


@given(st.integers(1, 50), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_each_resample_draws_as_many_entities_as_there_are(
    groups: int, resamples: int, seed: int
) -> None:
    small = np.concatenate(list(weights(groups, resamples, seed, room=10_000_000)))
    whole = np.concatenate(list(weights(groups, resamples, seed, room=groups)))
    assert whole.shape == (resamples, groups)
    assert (whole.sum(axis=1) == groups).all()
    assert np.array_equal(small, whole)  # the pieces change nothing


def test_the_middle_of_the_draws_that_are_defined() -> None:
    draws = np.append(np.arange(101.0), [math.nan, math.inf])
    assert percentiles(draws, 0.90) == pytest.approx((5.0, 95.0))
    assert all(map(math.isnan, percentiles(np.array([math.nan]), 0.90)))


def test_bias_is_taken_off_once_or_twice_whichever_is_wider() -> None:
    """Draws of 12 and 17 around 13: moved to a point of 10 they are 9 and 14, mirrored at it 8 and
    3; the middle 50 % of them leave the upper fifth out."""
    draws = np.concatenate([np.full(80, 12.0), np.full(20, 17.0)])
    assert draws.mean() == 13.0
    assert noisy_percentiles(draws, 10.0, 0.50) == pytest.approx((8.0, 9.0))
    assert noisy_percentiles(draws, 10.0, 0.80) == pytest.approx((3.0, 14.0))
    assert noisy_percentiles(np.zeros(100), 0.0, 0.90) == (0.0, 0.0)


def test_the_auc_of_ties_and_of_each_resample() -> None:
    """By counting all pairs, the rows of each resample written out."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, 2, 60).astype(float)
    scores = rng.integers(0, 8, 60) / 8
    codes = rng.integers(0, 20, 60)
    value, draws = roc_auc(target, scores, codes, groups=20, resamples=30, seed=9)

    def pairs(rows: np.ndarray) -> float:
        hits, misses = scores[rows][target[rows] == 1], scores[rows][target[rows] == 0]
        return float((np.sign(hits[:, None] - misses[None, :]) / 2 + 0.5).mean())

    assert value == pytest.approx(pairs(np.arange(60)))
    drawn = np.concatenate(list(weights(20, 30, 9, room=20)))
    expected = [pairs(np.repeat(np.arange(60), row[codes].astype(int))) for row in drawn]
    assert draws == pytest.approx(expected)


def test_memory_stays_small_with_many_rows() -> None:
    rows = 27_000
    rng = np.random.default_rng(0)
    target, scores = rng.integers(0, 2, rows).astype(float), rng.random(rows)
    tracemalloc.start()
    roc_auc(target, scores, np.arange(rows), groups=rows, resamples=100, seed=0)
    assert tracemalloc.get_traced_memory()[1] < 120e6
    tracemalloc.stop()
