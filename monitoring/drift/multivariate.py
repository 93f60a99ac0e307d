"""Whether all features together tell window from reference: a classifier tries to, on rows that it
has not seen (Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests).

It catches what no single feature shows, such as a correlation that changed. The folds go forward:
fitted on those before, tested on the next. In ordinary cross-validation every fold is also learned
from, so that the folds' AUCs depend on each other and no estimate of their variance is unbiased
(Bengio and Grandvalet 2004): its interval lay above 0.5 in 6 % of windows without drift. Going
forward, what was learned is fixed when a fold is met, and the folds' variances simply add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, stdtr, stdtrit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from monitoring.drift.comparison import Status
from monitoring.performance.evaluation import Estimate
from monitoring.reference.bins import CategoryBins, Column, NumericBins
from monitoring.reference.coded_rows import CodedRows
from monitoring.reference.profile import FeatureProfile, ReferenceProfile

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_ROWS = 2_000  # of the window are compared
FOLDS = 5
MIN_ENTITIES = 4 * FOLDS  # on either side: fewer make no interval
RIDGE, PAIR_RIDGE = 60.0, 1.0  # penalties of a bin and of a product
STEPS = 5  # of Newton, by which the penalised fit has long converged
PAIRS = 5  # of features, whose products the classifier is given
YELLOW, RED = 0.55, 0.75  # what the lower end of the AUC's interval must exceed
LEADING, TELLING = 4, 0.25  # features named at most; of the largest effect, to be named


@dataclass(frozen=True)
class Multivariate:
    """How well window rows are told from reference rows: AUC 0.5 is not at all, 1 is surely.

    `p` is one-sided, of "not at all". `leading` are the features that the classifier needed most,
    empty while the AUC may be 0.5. Undefined, and p 1, with too few entities on a side.
    """

    auc: Estimate
    p: float
    reference_rows: int
    window_rows: int
    leading: tuple[str, ...]


@dataclass(frozen=True)
class HeldOut:
    """Rows that the classifier had not seen, arrays of shape (rows,)."""

    scores: Floats
    is_window: NDArray[np.bool_]
    entities: Codes


@dataclass(frozen=True)
class _Rows:
    """Rows of both sides: codes and their normal scores, of shape (rows, features)."""

    codes: Codes
    normal: Floats
    is_window: NDArray[np.bool_]
    entities: Codes

    def take(self, rows: NDArray[np.intp]) -> "_Rows":
        return _Rows(self.codes[rows], self.normal[rows], self.is_window[rows], self.entities[rows])

    def shuffled(self, feature: int, order: NDArray[np.intp]) -> "_Rows":
        """The same with one feature's values in another order."""
        codes, normal = self.codes.copy(), self.normal.copy()
        codes[:, feature] = codes[order, feature]
        normal[:, feature] = normal[order, feature]
        return _Rows(codes, normal, self.is_window, self.entities)


class _Classifier:
    """Logistic regression on which bin each value is in and on the products of the pairs whose
    correlation changed most: bins show any change of one feature, the products a joint one.

    Fitted by Newton's method with a ridge penalty. It is a dozen lines because the library's own
    costs a second and 50 MB to import, half of what a report over a million rows takes.
    """

    def __init__(self, rows: _Rows, bins: Sequence[int]) -> None:
        self._offsets = np.concatenate([[0], np.cumsum(bins)[:-1]])
        self._width = int(sum(bins))
        self._pairs = _changed_pairs(rows)
        inputs = self._inputs(rows)
        y = rows.is_window.astype(np.float64)
        weights = np.where(rows.is_window, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
        penalty = np.full(inputs.shape[1], RIDGE)
        penalty[self._width :] = PAIR_RIDGE
        self._slopes = np.zeros(inputs.shape[1])
        for _ in range(STEPS):
            chance = expit(inputs @ self._slopes)
            gradient = inputs.T @ (weights * (y - chance)) - penalty * self._slopes
            curvature = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs
            self._slopes += np.linalg.solve(curvature + np.diag(penalty), gradient)

    def test(self, rows: _Rows) -> HeldOut:
        return HeldOut(self._inputs(rows) @ self._slopes, rows.is_window, rows.entities)

    def _inputs(self, rows: _Rows) -> Floats:
        """A column for each bin of each feature, 1 for the rows in it, and one for each pair."""
        inputs = np.zeros((len(rows.codes), self._width + len(self._pairs[0])))
        inputs[np.arange(len(inputs))[:, None], rows.codes + self._offsets] = 1
        one, other = self._pairs
        inputs[:, self._width :] = rows.normal[:, one] * rows.normal[:, other]
        return inputs


def tell_apart(
    profile: ReferenceProfile,
    reference: CodedRows,
    window_columns: Mapping[str, Column],
    window_entities: Codes,
    *,
    seed: int,
) -> Multivariate:
    """Fit on folds of whole entities of both sides, going forward, and test on the next.

    Window columns as in `compare`; of more than `MOST_ROWS` rows a sample is taken. An entity that
    is in the reference too can only lower the AUC. Raises ValueError if a length differs or the
    reference rows are of another profile.
    """
    generator = np.random.default_rng(seed)
    window, whose = _window(profile, window_columns, window_entities, generator)
    before = reference.matrix(profile)
    sides = [np.array(reference.entities, dtype=np.int64), whose]
    sizes = (len(before), len(window))
    if min(len(np.unique(side)) for side in sides) < MIN_ENTITIES:
        return Multivariate(Estimate(None, None, None), 1.0, *sizes, ())
    rows = _rows(profile, np.vstack([before, window]), np.repeat([False, True], sizes), sides)
    bins = [len(feature.counts) for feature in profile.features]
    fold = np.concatenate([_folds(side, generator) for side in sides])
    with threadpool_limits(limits=1):  # faster on so few rows, and the same on any machine
        tests = [
            (
                _Classifier(rows.take(np.flatnonzero(fold < number)), bins),
                rows.take(np.flatnonzero(fold == number)),
            )
            for number in range(1, FOLDS)
        ]
        auc, p = estimate([classifier.test(part) for classifier, part in tests])
        names = [feature.name for feature in profile.features]
        leading = _leading(tests, names, generator) if (auc.low or 0) > 0.5 else ()
    return Multivariate(auc, p, *sizes, leading)


def status(found: Multivariate, *, entities: int, min_rows: int) -> Status:
    """The colour; `inconclusive` for a window of too few entities, or too small to rule red out."""
    low, high = found.auc.low, found.auc.high
    if low is None or high is None or entities < min_rows:
        return "inconclusive"
    if low > YELLOW:
        return "red" if low > RED else "yellow"
    return "inconclusive" if high > RED else "green"


def estimate(tests: Sequence[HeldOut]) -> tuple[Estimate, float]:
    """The mean AUC of tests that follow each other, by their window rows, with a 95 % interval,
    and the one-sided p-value of 0.5.

    The variance of each is DeLong's for rows in clusters (Obuchowski 1997); the interval is
    symmetric on the logit scale, with Satterthwaite's degrees of freedom. A test has rows of two
    entities at least on each side.
    """
    weights = np.array([np.count_nonzero(test.is_window) for test in tests], dtype=np.float64)
    weights /= weights.sum()
    value = variance = spread = 0.0
    for weight, test in zip(weights.tolist(), tests, strict=True):
        above, below = _placements(test.scores, test.is_window)
        value += weight * float(above.mean())
        sides = ((above, test.entities[test.is_window]), (below, test.entities[~test.is_window]))
        for placements, whose in sides:
            part, degrees = _cluster_variance(placements, whose)
            variance += weight**2 * part
            spread += (weight**2 * part) ** 2 / degrees
    if variance == 0:
        return Estimate(*[round(value, 6)] * 3), float(value <= 0.5)
    freedom = variance**2 / spread
    logit_error = variance**0.5 / (value * (1 - value))
    half = logit_error * float(stdtrit(freedom, 0.975))
    low, high = (float(expit(logit(value) + side)) for side in (-half, half))
    p = float(stdtr(freedom, -logit(value) / logit_error))
    return Estimate(round(value, 6), round(low, 6), round(high, 6)), p


def _placements(scores: Floats, is_window: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Of each window row the share of reference rows below it, of each reference row the share of
    window rows above it; a tie is half. The mean of either is the AUC."""
    window, reference = scores[is_window], scores[~is_window]
    ranks = _ranks(scores)
    above = (ranks[is_window] - _ranks(window)) / len(reference)
    below = 1 - (ranks[~is_window] - _ranks(reference)) / len(window)
    return above, below


def _ranks(values: Floats) -> Floats:
    """From 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def _cluster_variance(placements: Floats, whose: Codes) -> tuple[float, int]:
    """The variance of their mean when an entity's rows go together, and its degrees of freedom."""
    _, codes = np.unique(whose, return_inverse=True)
    sums = np.bincount(codes, placements - placements.mean())
    degrees = len(sums) - 1
    return float((sums**2).sum() * len(sums) / degrees / len(placements) ** 2), degrees


def _window(
    profile: ReferenceProfile,
    columns: Mapping[str, Column],
    entities: Codes,
    generator: np.random.Generator,
) -> tuple[Codes, Codes]:
    """Bin codes of shape (rows, features), and whom the rows are about."""
    rows = len(entities)
    matrix = np.empty((rows, len(profile.features)), dtype=np.int64)
    for position, feature in enumerate(profile.features):
        values = columns.get(feature.name)
        if values is not None and len(values) != rows:
            raise ValueError(f"{feature.name} has {len(values)} values for {rows} rows")
        null = len(feature.counts) - 1
        matrix[:, position] = null if values is None else feature.bins.codes(values)
    chosen = generator.permutation(rows)[:MOST_ROWS]
    return matrix[chosen], entities[chosen]


def _folds(whose: Codes, generator: np.random.Generator) -> Codes:
    """A fold for each row, shape (rows,): all of an entity's rows in one."""
    entities, codes = np.unique(whose, return_inverse=True)
    return np.asarray(generator.permutation(len(entities)) % FOLDS)[codes]


def _rows(
    profile: ReferenceProfile,
    codes: Codes,
    is_window: NDArray[np.bool_],
    sides: Sequence[Codes],
) -> _Rows:
    scales = [_scale(feature) for feature in profile.features]
    normal = [scale[codes[:, feature]] for feature, scale in enumerate(scales)]
    return _Rows(codes, np.column_stack(normal), is_window, np.concatenate(sides))


def _scale(feature: FeatureProfile) -> Floats:
    """A number for each bin, the normal score of its middle among the reference, so that products
    show a correlation. NULL and UNSEEN have no place: 0."""
    bins = feature.bins
    if isinstance(bins, CategoryBins):
        order = np.arange(len(feature.counts) - 2)
    else:
        order = _by_value(bins)
    counts = np.array(feature.counts, dtype=np.float64)[order] + 0.5
    scale = np.zeros(len(feature.counts))
    scale[order] = ndtri((np.cumsum(counts) - counts / 2) / counts.sum())
    return scale


def _by_value(bins: NumericBins) -> NDArray[np.intp]:
    """The positions of intervals and atoms, lowest values first."""
    edges = np.array(bins.edges)
    middles = (edges[:-1] + edges[1:]) / 2 if edges.size else np.zeros(1)
    places = np.concatenate([edges[:1], middles, edges[-1:], bins.atoms])
    return np.argsort(places, kind="stable")


def _changed_pairs(rows: _Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs whose correlations on the two sides differ most on Fisher's scale."""
    one, other = np.triu_indices(rows.normal.shape[1], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        before, now = (
            np.atleast_2d(np.corrcoef(rows.normal[rows.is_window == side], rowvar=False))
            for side in (False, True)
        )
    fisher = [np.arctanh(np.clip(np.nan_to_num(r), -0.99, 0.99)) for r in (before, now)]
    most = np.argsort(-np.abs(fisher[1] - fisher[0])[one, other], kind="stable")[:PAIRS]
    return one[most], other[most]


def _leading(
    tests: Sequence[tuple[_Classifier, _Rows]],
    names: Sequence[str],
    generator: np.random.Generator,
) -> tuple[str, ...]:
    """The features without whose values the AUC falls most (permutation, Breiman 2001)."""
    falls = np.zeros(len(names))
    for classifier, rows in tests:
        weight = np.count_nonzero(rows.is_window)
        falls += weight * _auc(classifier.test(rows))
        for feature in range(len(names)):
            order = generator.permutation(len(rows.codes))
            falls[feature] -= weight * _auc(classifier.test(rows.shuffled(feature, order)))
    telling = np.flatnonzero(falls > max(TELLING * falls.max(), 0))
    return tuple(names[feature] for feature in telling[np.argsort(-falls[telling])][:LEADING])


def _auc(held_out: HeldOut) -> float:
    return float(_placements(held_out.scores, held_out.is_window)[0].mean())
