"""Metrics and intervals against scikit-learn, hand computation and simulation."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, norm
from sklearn import metrics as reference

from monitoring.performance.evaluation import (
    ALL_METRICS,
    Evaluation,
    Sample,
    calibration_bins,
    calibration_curve,
    evaluate,
    rate,
)
from monitoring.statistics import wilson

Ints = NDArray[Any]


def sample(rows: int, seed: int, digits: int = 2) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Target and scores, with ties where there are few digits."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(rows), digits)
    return (rng.random(rows) < scores).astype(np.int8), scores


def run(
    target: Any, scores: Any, flags: Any, entities: Any = None, resamples: int = 100, seed: int = 0
) -> Evaluation:
    rows = len(target)
    return evaluate(
        np.asarray(target, dtype=np.int8),
        np.asarray(scores, dtype=np.float64),
        np.asarray(flags, dtype=bool),
        np.arange(rows) if entities is None else np.asarray(entities),
        resamples=resamples,
        seed=seed,
    )


def values(evaluation: Evaluation) -> dict[str, float | None]:
    return {name: evaluation.metrics[name].value for name in ALL_METRICS}


def expected(target: Ints, scores: Ints, flags: Ints, weights: Ints | None = None) -> list[float]:
    """All metrics by scikit-learn, but NaN for ECE."""
    by = {"sample_weight": weights}
    return [
        float(reference.recall_score(target, flags, **by)),
        float(reference.precision_score(target, flags, **by)),
        float(reference.average_precision_score(target, scores, **by)),
        float(reference.roc_auc_score(target, scores, **by)),
        float(reference.brier_score_loss(target, scores, **by)),
        math.nan,
        float(reference.f1_score(target, flags, **by)),
        float(reference.fbeta_score(target, flags, beta=2, **by)),
    ]


def without_ece(found: Any) -> list[float]:
    return [value for name, value in zip(ALL_METRICS, found, strict=True) if name != "ece"]


@pytest.mark.parametrize("digits", [1, 2, 12])
@pytest.mark.parametrize("rows", [11, 500])
def test_metrics_are_those_of_scikit_learn(rows: int, digits: int) -> None:
    target, scores = sample(rows, seed=rows + digits, digits=digits)
    flags = scores >= 0.5
    found = values(run(target, scores, flags))
    given = without_ece(expected(target, scores, flags))
    assert without_ece(found.values()) == pytest.approx(given, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_resample_counts_like_weights_in_scikit_learn(seed: int) -> None:
    target, scores = sample(200, seed, digits=1)
    flags = scores >= 0.4
    weights = np.random.default_rng(seed).integers(0, 4, 200).astype(float)
    found = Sample(target, scores, flags).metrics(weights)
    given = without_ece(expected(target, scores, flags, weights))
    assert without_ece(found) == pytest.approx(given)


def test_calibration_error_by_hand() -> None:
    # Ten bins of two rows, one of them positive; mean scores .1, .1889 up to .9. A tenth of twice
    # .4 + .3111 + .2222 + .1333 + .0444 is 2/9.
    target = [0, 1] * 10
    scores = np.repeat(np.linspace(0.1, 0.9, 10), 2) + np.tile([-1e-3, 1e-3], 10)
    ece = values(run(target, scores, scores > 0.5))["ece"]
    assert ece == pytest.approx(2 / 9, abs=1e-6)


def test_calibration_error_of_tied_scores_by_hand() -> None:
    # 6 rows score .2 with 3 positives, 4 rows score .9 with 3: .6 of .3 and .4 of .15.
    target = [1, 1, 1, 0, 0, 0, 1, 1, 1, 0]
    scores = [0.2] * 6 + [0.9] * 4
    assert values(run(target, scores, [True] * 10))["ece"] == pytest.approx(0.24)
    means, shares = calibration_curve(np.array(target, dtype=np.int8), np.array(scores))
    assert (means.tolist(), shares.tolist()) == (pytest.approx([0.2, 0.9]), [0.5, 0.75])


def test_the_order_of_the_rows_changes_nothing() -> None:
    target, scores = sample(300, seed=4, digits=1)
    by_label = np.argsort(target, kind="stable")
    shuffled = np.random.default_rng(1).permutation(300)
    one, other = (values(run(target[o], scores[o], scores[o] > 0.5)) for o in (by_label, shuffled))
    assert one == other


def test_the_bins_hold_every_row_once_and_rise() -> None:
    _, scores = sample(997, seed=3)
    bins = calibration_bins(scores)
    assert sorted(np.concatenate(bins).tolist()) == list(range(997))
    for lower, upper in itertools.pairwise(bins):
        assert scores[lower].max() < scores[upper].min()


def test_ten_bins_hold_a_tenth_each() -> None:
    target, scores = sample(1000, seed=2, digits=12)
    means, shares = calibration_curve(target, scores)
    ranked = np.argsort(scores)
    np.testing.assert_allclose(means, scores[ranked].reshape(10, 100).mean(axis=1))
    np.testing.assert_allclose(shares, target[ranked].reshape(10, 100).mean(axis=1))
    ece = values(run(target, scores, scores > 0.5))["ece"]
    assert ece == pytest.approx(np.abs(means - shares).mean(), abs=1e-6)


def test_what_is_undefined_is_none_and_never_zero() -> None:
    scores = np.linspace(0, 1, 20)
    without = run(np.zeros(20), scores, scores > 0.5)
    for name in ("recall", "pr_auc", "roc_auc", "f1", "f2"):
        assert without.metrics[name].to_dict() == {"value": None, "low": None, "high": None}
    assert without.metrics["precision"].value == 0  # some were flagged, and none of them rightly
    unflagged = run([0, 1] * 10, scores, np.zeros(20))
    assert unflagged.metrics["precision"].to_dict() == {"value": None, "low": None, "high": None}
    for name in ("recall", "f1", "f2"):  # there were positives, and none was flagged
        assert unflagged.metrics[name].value == 0
    assert run(np.ones(20), scores, scores > 0.5).metrics["roc_auc"].value is None


def test_counts_stand_beside_the_metrics() -> None:
    found = run([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], [True, True, False, False])
    assert (found.rows, found.positives, found.flagged) == (4, 2, 2)


def test_one_positive_gives_intervals_all_the_same() -> None:
    found = run([1] + [0] * 30, np.linspace(1, 0, 31), [True] + [False] * 30)
    assert (found.metrics["recall"].low, found.metrics["recall"].high) == (1, 1)
    assert found.metrics["brier"].low is not None


def test_nine_intervals_in_ten_or_more_hold_the_truth() -> None:
    """200 draws of two normals one apart: AUC is Φ(1/√2), the flag is a score above 0.5."""
    truth = {
        "roc_auc": norm.cdf(1 / math.sqrt(2)),
        "recall": norm.sf(-0.5),
        "precision": 0.4 * norm.sf(-0.5) / (0.4 * norm.sf(-0.5) + 0.6 * norm.sf(0.5)),
    }
    rng = np.random.default_rng(8)
    held = dict.fromkeys(truth, 0)
    for draw in range(200):
        target = (rng.random(300) < 0.4).astype(np.int8)
        scores = rng.normal(size=300) + target
        found = run(target, scores, scores > 0.5, resamples=200, seed=draw)
        for name, value in truth.items():
            estimate = found.metrics[name]
            assert estimate.low is not None
            assert estimate.high is not None
            held[name] += estimate.low <= value <= estimate.high
    # 95 % of 200 is 190 with a standard deviation of 3.1; a percentile interval is a little short.
    assert all(179 <= count <= 199 for count in held.values()), held


@pytest.mark.parametrize("rows", [40, 120, 2000])
def test_every_interval_holds_its_own_value(rows: int) -> None:
    target, scores = sample(rows, seed=rows, digits=12)
    for name, found in run(target, scores, scores > 0.5, resamples=300).metrics.items():
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1, name


def test_copies_of_a_row_do_not_make_an_interval_narrower() -> None:
    target, scores = sample(60, seed=6)
    flags = scores >= 0.5
    entities = np.repeat(np.arange(60), 9)
    copies = [np.repeat(values, 9) for values in (target, scores, flags)]
    single = run(target, scores, flags, resamples=400)
    clustered = run(copies[0], copies[1], copies[2], entities, resamples=400)
    naive = run(copies[0], copies[1], copies[2], resamples=400)
    for name in ALL_METRICS:
        one, same, narrow = (e.metrics[name] for e in (single, clustered, naive))
        assert same.value == one.value or name == "ece"
        widths = [float(e.high or 0) - float(e.low or 0) for e in (one, same, narrow)]
        assert widths[1] == pytest.approx(widths[0], rel=0.25), name
        assert widths[1] > 2 * widths[2], name


def alike_outcomes(
    rng: np.random.Generator, sizes: Ints, share: float, likeness: float
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Outcomes of entities with so many rows each; beta-binomial with this correlation within."""
    if likeness == 0:
        own = np.full(len(sizes), share)
    elif likeness == 1:
        own = (rng.random(len(sizes)) < share).astype(float)
    else:
        spread = (1 - likeness) / likeness
        own = rng.beta(share * spread, (1 - share) * spread, len(sizes))
    entities = np.repeat(np.arange(len(sizes)), sizes)
    return rng.random(len(entities)) < own[entities], entities


def test_one_row_an_entity_is_wilsons_interval() -> None:
    hits = np.arange(30) < 21
    found = rate(hits, np.arange(30))
    assert (found.successes, found.trials, found.effective) == (21, 30, 30)
    given = binomtest(21, 30).proportion_ci(method="wilson")
    assert found.estimate.to_dict() == {
        "value": 0.7,
        "low": pytest.approx(given.low, abs=1e-6),
        "high": pytest.approx(given.high, abs=1e-6),
    }


def test_a_rate_of_nothing_is_undefined() -> None:
    found = rate(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.intp))
    assert found.value is None
    assert found.estimate.to_dict() == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("entities", [10, 50])
def test_copies_of_a_row_are_worth_one_row(entities: int) -> None:
    hits = np.arange(entities) < 0.6 * entities
    copies = rate(np.repeat(hits, 20), np.repeat(np.arange(entities), 20))
    assert copies.effective == pytest.approx(entities)
    low, high = wilson(int(0.6 * entities), entities)
    assert (copies.estimate.low, copies.estimate.high) == pytest.approx((low, high), abs=1e-6)


def test_unequal_entities_with_one_outcome_each_count_as_kish_says() -> None:
    # 1 entity of 10 rows and 10 of 1: (20 rows)² / (100 + 10) = 3.64 rows.
    sizes = np.array([10] + [1] * 10)
    entities = np.repeat(np.arange(11), sizes)
    assert rate(entities % 2 == 0, entities).effective == pytest.approx(400 / 110)


def test_rows_that_are_independent_within_an_entity_keep_their_worth() -> None:
    hits, entities = alike_outcomes(np.random.default_rng(3), np.full(2000, 10), 0.7, 0)
    assert 17_000 <= rate(hits, entities).effective <= 20_000


@pytest.mark.parametrize("likeness", [0, 0.3, 1])
@pytest.mark.parametrize("share", [0.7, 0.9])
@pytest.mark.parametrize("kind", ["few", "equal", "unequal"])
def test_the_interval_of_clustered_rows_holds_the_truth(
    kind: str, share: float, likeness: float
) -> None:
    """400 draws; 95 % of them are 380 with a standard deviation of 4.4."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(400):
        sizes = {
            "few": np.full(15, 20),
            "equal": np.full(120, 20),
            "unequal": 1 + rng.geometric(0.1, 200) * np.where(rng.random(200) < 0.1, 10, 1),
        }[kind]
        found = rate(*alike_outcomes(rng, sizes, share, likeness)).estimate
        assert found.low is not None
        assert found.high is not None
        held += found.low <= share <= found.high
    assert held >= 368
