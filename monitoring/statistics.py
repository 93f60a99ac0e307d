"""The statistics that drift and recall rest on: counts in, numbers out.

No files, no clock, no configuration. The same input always gives the same output: what is
simulated is seeded by the caller.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, gammaln, ndtri

Counts = NDArray[np.float64]

MIN_EXPECTED = 10.0  # at Cochran's 5 the far tail, where q-values live, is too often reached
# A first short round settles what is plainly not significant (Besag and Clifford 1991).
SHORT_ROUND, FULL_ROUND, PLAINLY = 199, 1999, 0.1


def psi(reference_counts: ArrayLike, window_counts: ArrayLike) -> float:
    """Population stability index of two histograms over the same bins, each of shape (bins,).

    Half a count is added to each bin on both sides, so an empty bin costs a finite amount; bins
    that are empty on both sides are left out. 0 for identical counts, never negative.
    Raises ValueError if the shapes differ, a count is negative, or a side has no counts at all.
    """
    reference, window = _occupied(reference_counts, window_counts)
    p = (reference + 0.5) / (reference.sum() + 0.5 * reference.size)
    q = (window + 0.5) / (window.sum() + 0.5 * window.size)
    return float(np.sum((p - q) * np.log(p / q)))


def psi_noise(bins: int, n: int, m: int) -> float:
    """The PSI to expect from noise alone when samples of n and m come from one population.

    PSI is then asymptotically (1/n + 1/m) times a chi-square with bins - 1 degrees of freedom
    (Yurdakul 2018, Statistical Properties of the Population Stability Index); this is its mean.
    """
    return (bins - 1) * (1 / n + 1 / m)


def psi_noise_sd(bins: int, n: int, m: int) -> float:
    """The standard deviation that belongs to `psi_noise`."""
    return math.sqrt(2 * (bins - 1)) * (1 / n + 1 / m)


def two_sample_p(
    reference_counts: ArrayLike,
    window_counts: ArrayLike,
    *,
    effective_n: int,
    effective_m: int,
    seed: int,
) -> float:
    """P-value of "both histograms come from one population", by Pearson's chi-square.

    The counts, each of shape (bins,), are first scaled down to the effective sizes (n: reference,
    m: window): the number of entities, where entities repeat. If an expected count is below
    `MIN_EXPECTED`, the p-value is simulated instead (parametric bootstrap: both samples drawn
    from the pooled shares, p = (1 + hits) / (1 + draws)); no bin is ever pooled into another.
    A simulated p is never below 1/2000, so among more than 100 tests it needs company for q < 0.05.
    Raises ValueError like `psi`, and if an effective size is not within 1..rows.
    """
    reference, window = _occupied(reference_counts, window_counts)
    for size, rows in ((effective_n, reference.sum()), (effective_m, window.sum())):
        if not 1 <= size <= rows:
            raise ValueError(f"effective size {size} is not within 1..{rows:.0f} rows")
    reference *= effective_n / reference.sum()
    window *= effective_m / window.sum()
    shares = (reference + window) / (effective_n + effective_m)
    observed = float(_chi_square(reference, window))
    if shares.min() * min(effective_n, effective_m) >= MIN_EXPECTED:
        return float(chdtrc(shares.size - 1, observed)) if shares.size > 1 else 1.0
    return _simulated_p(observed, shares, n=effective_n, m=effective_m, seed=seed)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Q-values in the order given: the false discovery rate at which each one is a discovery.

    Benjamini and Hochberg 1995: q of the i-th smallest is the least p_(j) * tests / j for j >= i.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[::-1]
    ranks = np.arange(p.size, 0, -1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(np.minimum(p[order] * p.size / ranks, 1.0))
    return tuple(q.tolist())


def fisher_p(hits: int, trials: int, *, other_hits: int, other_trials: int) -> float:
    """P-value of "hits are no more frequent here than in the others", by Fisher's exact test.

    One-sided (Fisher 1935): the chance of so many hits or more among `trials`, were all hits, here
    and in the others, shared out at random (hypergeometric). "No less frequent" is the same test
    of the misses. Raises ValueError if hits are not within 0..trials.
    """
    for some, most in ((hits, trials), (other_hits, other_trials)):
        if not 0 <= some <= most:
            raise ValueError(f"{some} hits in {most} trials")
    total = hits + other_hits
    here = np.arange(hits, min(trials, total) + 1, dtype=np.float64)
    ways = _log_choose(trials, here) + _log_choose(other_trials, total - here)
    of_all = _log_choose(trials + other_trials, np.float64(total))
    return min(1.0, float(np.exp(ways - of_all).sum()))


def wilson(successes: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) for a rate, as (low, high) within 0..1; numbers that are not
    whole are effective ones.

    Raises ValueError without trials, because a rate of nothing is undefined, not 0.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"no rate from {successes} successes in {trials} trials")
    z = float(ndtri(0.5 + confidence / 2))
    rate, weight = successes / trials, 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / weight
    half = z * math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2) / weight
    # At the ends the formula gives 0 and 1 exactly; rounding must not leave a sliver.
    low = 0.0 if successes == 0 else centre - half
    return low, 1.0 if successes == trials else centre + half


def _log_choose(n: int, k: Counts | np.float64) -> Counts:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def _occupied(reference_counts: ArrayLike, window_counts: ArrayLike) -> tuple[Counts, Counts]:
    """Both sides as fresh floats, without the bins that are empty on both."""
    reference = np.asarray(reference_counts, dtype=np.float64)
    window = np.asarray(window_counts, dtype=np.float64)
    if reference.ndim != 1 or reference.shape != window.shape:
        raise ValueError(f"histograms of shapes {reference.shape} and {window.shape} do not match")
    if min(reference.min(initial=0), window.min(initial=0)) < 0:
        raise ValueError("a count is negative")
    if not (reference.sum() > 0 and window.sum() > 0):
        raise ValueError("a histogram without any counts cannot be compared")
    occupied = reference + window > 0
    return reference[occupied], window[occupied]


def _chi_square(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson's homogeneity statistic of the histograms along the last axis."""
    ratio = np.sqrt(b.sum(axis=-1, keepdims=True) / a.sum(axis=-1, keepdims=True))
    pooled = a + b
    squares = (a * ratio - b / ratio) ** 2
    terms = np.divide(squares, pooled, out=np.zeros_like(squares), where=pooled > 0)
    return np.asarray(terms.sum(axis=-1), dtype=np.float64)


def _simulated_p(observed: float, shares: Counts, *, n: int, m: int, seed: int) -> float:
    generator = np.random.default_rng(seed)
    hits = draws = 0
    for total in (SHORT_ROUND, FULL_ROUND):
        a = generator.multinomial(n, shares, size=total - draws).astype(np.float64)
        b = generator.multinomial(m, shares, size=total - draws).astype(np.float64)
        # A tie must count as a hit although the scaled counts are not exact.
        hits += int(np.count_nonzero(_chi_square(a, b) >= observed * (1 - 1e-9)))
        draws = total
        if hits >= PLAINLY * draws:
            break
    return (1 + hits) / (1 + draws)
