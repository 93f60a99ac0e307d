import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitoring.statistics import (
    benjamini_hochberg,
    fisher_p,
    psi,
    psi_noise,
    psi_noise_sd,
    two_sample_p,
    wilson,
)

SHIFTED = ((60, 30, 20, 40), (20, 35, 15, 10))
histograms = st.lists(st.integers(0, 1000), min_size=3, max_size=3).filter(any)


def p_of(reference: list[int], window: list[int], *, seed: int = 0) -> float:
    n, m = sum(reference), sum(window)
    return two_sample_p(reference, window, effective_n=n, effective_m=m, seed=seed)


def test_psi_by_hand() -> None:
    # Half a count each: (3.5, 0.5)/4 = (7/8, 1/8) against (1.5, 2.5)/4 = (3/8, 5/8).
    # (7/8 - 3/8) ln(7/3) + (1/8 - 5/8) ln(1/5) = (ln(7/3) + ln 5)/2 = ln(35/3)/2
    assert psi([3, 0], [1, 2]) == pytest.approx(math.log(35 / 3) / 2)


def test_psi_leaves_out_bins_that_are_empty_on_both_sides() -> None:
    assert psi([3, 0, 0, 0], [1, 0, 2, 0]) == psi([3, 0], [1, 2])


@given(histograms, histograms)
def test_psi_is_symmetric_never_negative_and_exactly_zero_for_identical_counts(
    a: list[int], b: list[int]
) -> None:
    assert psi(a, a) == 0
    assert psi(a, b) >= 0
    assert psi(a, b) == pytest.approx(psi(b, a))


def test_psi_noise_by_hand() -> None:
    # 11 bins, 1/1000 + 1/500 = 0.003: mean 10 * 0.003, deviation sqrt(20) * 0.003
    assert psi_noise(11, 1000, 500) == pytest.approx(0.03)
    assert psi_noise_sd(11, 1000, 500) == pytest.approx(0.0134164, rel=1e-5)


def test_psi_noise_is_what_samples_of_one_population_show() -> None:
    generator = np.random.default_rng(11)
    shares = np.full(8, 1 / 8)
    a, b = generator.multinomial(800, shares, 4000), generator.multinomial(400, shares, 4000)
    seen = np.array([psi(x, y) for x, y in zip(a, b, strict=True)])
    assert seen.mean() == pytest.approx(psi_noise(8, 800, 400), rel=0.05)
    assert seen.std() == pytest.approx(psi_noise_sd(8, 800, 400), rel=0.07)


@pytest.mark.parametrize(
    ("reference", "window"),
    [([1], [1, 2]), ([-1, 3], [1, 2]), ([0, 0], [1, 2]), ([1, 2], [0, 0])],
)
def test_histograms_that_cannot_be_compared_are_refused(
    reference: list[int], window: list[int]
) -> None:
    with pytest.raises(ValueError, match=r"histogram|negative"):
        psi(reference, window)


@pytest.mark.parametrize(("reference", "window"), [SHIFTED, ((50, 50, 50), (30, 25, 40))])
def test_p_is_the_chi_square_test_where_it_holds(reference: list[int], window: list[int]) -> None:
    expected = stats.chi2_contingency([reference, window], correction=False).pvalue
    assert p_of(reference, window) == pytest.approx(expected, rel=1e-10)


def test_p_of_repeated_entities_is_that_of_the_smaller_samples() -> None:
    reference, window = (np.array(counts) * 20 for counts in SHIFTED)
    expected = stats.chi2_contingency(SHIFTED, correction=False).pvalue
    p = two_sample_p(reference, window, effective_n=150, effective_m=80, seed=0)
    assert p == pytest.approx(expected, rel=1e-10)


def test_simulated_p_by_hand() -> None:
    # Pooled shares 1/2, 1/2. Only (4,0),(0,4) and its mirror are as extreme: 2 * (1/16)^2.
    # 1999 draws know 1/128 to within 0.002 (one standard error).
    assert p_of([4, 0], [0, 4]) == pytest.approx(1 / 128, abs=0.006)
    # (2,2),(2,2) has a statistic of 0, which every draw reaches.
    assert p_of([2, 2], [2, 2]) == 1


def test_simulated_p_has_the_size_it_claims_on_sparse_counts() -> None:
    generator = np.random.default_rng(5)
    shares = [0.3, 0.3, 0.3, 0.06, 0.02, 0.02]
    a, b = generator.multinomial(500, shares, 600), generator.multinomial(40, shares, 600)
    p = np.array([p_of(x.tolist(), y.tolist()) for x, y in zip(a, b, strict=True)])
    # 5 % of 600 trials, give or take three standard errors (0.009 each).
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.027)


def test_simulated_p_is_deterministic() -> None:
    first, second = (p_of([500, 3, 0], [40, 2, 1], seed=3) for _ in range(2))
    assert first == second


def test_a_bin_new_in_a_small_window_is_not_pooled_away() -> None:
    assert p_of([10_000, 0], [0, 20]) == 1 / 2000
    assert p_of([10_000, 0], [18, 2]) < 0.01


def test_one_bin_alone_cannot_differ() -> None:
    assert p_of([500, 0], [3, 0]) == 1


@pytest.mark.parametrize(("n", "m"), [(0, 3), (4, 3), (3, 0), (3, 4)])
def test_effective_sizes_outside_the_rows_are_refused(n: int, m: int) -> None:
    with pytest.raises(ValueError, match="effective size"):
        two_sample_p([1, 2], [2, 1], effective_n=n, effective_m=m, seed=0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_benjamini_hochberg_agrees_with_scipy(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values)
    np.testing.assert_allclose(benjamini_hochberg(p_values), expected, rtol=1e-12)


def test_benjamini_hochberg_by_hand() -> None:
    # Ranked 0.01*4/1 = 0.04, 0.02*4/2 = 0.04, 0.04*4/3 = 0.0533, 0.5
    assert benjamini_hochberg([0.5, 0.01, 0.04, 0.02]) == pytest.approx((0.5, 0.04, 0.16 / 3, 0.04))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.integers(0, 200))
def test_fishers_exact_test_agrees_with_scipy(
    hits: int, missed: int, other_hits: int, other_missed: int
) -> None:
    table = np.array([[hits, missed], [other_hits, other_missed]])
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    p = fisher_p(hits, hits + missed, other_hits=other_hits, other_trials=other_hits + other_missed)
    assert p == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_fishers_exact_test_by_hand() -> None:
    # The lady who tells all four cups of eight, and three of the four (Fisher 1935): 1/70, 17/70.
    assert fisher_p(4, 4, other_hits=0, other_trials=4) == pytest.approx(1 / 70)
    assert fisher_p(3, 4, other_hits=1, other_trials=4) == pytest.approx(17 / 70)


def test_fishers_exact_test_of_many_rows_agrees_with_scipy() -> None:
    table = np.array([[50_400, 949_600], [500_000, 9_500_000]])
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    p = fisher_p(50_400, 1_000_000, other_hits=500_000, other_trials=10_000_000)
    assert p == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("counts", [(-1, 3, 1, 3), (4, 3, 1, 3), (1, 3, -1, 3), (1, 3, 4, 3)])
def test_fishers_exact_test_of_impossible_counts_is_refused(
    counts: tuple[int, int, int, int],
) -> None:
    hits, trials, other_hits, other_trials = counts
    with pytest.raises(ValueError, match="hits in 3 trials"):
        fisher_p(hits, trials, other_hits=other_hits, other_trials=other_trials)


@pytest.mark.parametrize("trials", [1, 7, 80, 1000])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.93, 1])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_scipy(trials: int, share: float, confidence: float) -> None:
    successes = round(share * trials)
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert wilson(successes, trials, confidence) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("successes", [0, 7])
def test_wilson_reaches_the_end_exactly(successes: int) -> None:
    assert (successes / 7) in wilson(successes, 7)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_without_a_rate_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no rate"):
        wilson(successes, trials)
