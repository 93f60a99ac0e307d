"""Performance estimated without labels: against NannyML, against labels drawn with known chances,
and against what definitions say."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from monitoring.performance import cbpe
from monitoring.performance.calibrator import CalibrationReference, needs_calibration
from monitoring.performance.cbpe import ScoreCounts, estimate

Floats = NDArray[np.float64]
AGREEMENT = json.loads(
    (Path(__file__).parents[2] / "data" / "cbpe_agreement.json").read_text(encoding="utf-8")
)
SCORES = st.lists(st.integers(0, 200).map(lambda x: x / 200), min_size=1, max_size=80)


def reference_of(scores: Any, labels: Any, entities: Any = None) -> CalibrationReference:
    codes = np.arange(len(scores)) if entities is None else entities
    return CalibrationReference.of(scores, labels, codes, seed=0)


def bent(logit: Floats) -> Floats:
    """The scores of a model that is too sure of itself."""
    return np.asarray(expit(2 * logit + 0.5))


T = 0.4321  # between the edges of cells


def drawn(
    rows: int, rng: np.random.Generator, *, concept: float = 0.0
) -> tuple[Floats, NDArray[np.int8]]:
    logit = rng.normal(-0.5, 1.3, rows)
    return bent(logit), (rng.random(rows) < expit(logit + concept)).astype(np.int8)


def realised(scores: Floats, labels: NDArray[np.int8], threshold: float) -> dict[str, float]:
    flagged = scores >= threshold
    return {
        "recall": float(recall_score(labels, flagged)),
        "precision": float(precision_score(labels, flagged)),
        "f1": float(f1_score(labels, flagged)),
        "roc_auc": float(roc_auc_score(labels, scores)),
        "base_rate": float(labels.mean()),
    }


@pytest.mark.parametrize("case", AGREEMENT["cases"], ids=lambda case: case["name"])
def test_estimates_agree_with_nannyml(case: dict[str, Any]) -> None:
    kept = case["reference"]
    reference = reference_of(kept["scores"], [int(label) for label in kept["labels"]])
    assert needs_calibration(reference) == case["calibrated"]
    for chunk in case["chunks"]:
        window = ScoreCounts.of(chunk["scores"], threshold=AGREEMENT["threshold"])
        ours = estimate(reference, window, rows_per_entity=1, resamples=20, seed=1)
        for metric, theirs in chunk["metrics"].items():
            assert ours.metrics[metric].value == pytest.approx(theirs["value"], abs=1e-4)


@given(SCORES, st.integers(0, 2**31), st.floats(0.05, 0.95))
def test_values_are_those_of_the_expected_confusion_matrix(
    scores: list[float], seed: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    known, labels = drawn(300, rng)
    reference = reference_of(known, labels)
    estimated = estimate(
        reference,
        ScoreCounts.of(scores, threshold=threshold),
        rows_per_entity=1,
        resamples=2,
        seed=0,
    )
    s = np.array(scores)
    p = s
    if estimated.calibrator == "isotonic":
        curve = IsotonicRegression(out_of_bounds="clip").fit(reference.scores, labels)
        p = curve.predict(s)
    flagged = s >= threshold
    expected: dict[str, tuple[float, float]] = {
        "recall": (p[flagged].sum(), p.sum()),
        "precision": (p[flagged].sum(), flagged.sum()),
        "base_rate": (p.sum(), len(s)),
    }
    wins = (s[:, None] > s[None, :]) + 0.5 * (s[:, None] == s[None, :])
    pairs = p[:, None] * (1 - p)[None, :]
    expected["roc_auc"] = ((pairs * wins).sum(), pairs.sum())
    for name, (above, below) in expected.items():
        value = estimated.metrics[name].value
        assert value == (None if below == 0 else pytest.approx(above / below, abs=2e-6)), name


def test_undefined_metrics_are_none_rather_than_zero() -> None:
    rng = np.random.default_rng(3)
    reference = reference_of(*drawn(500, rng))
    window = ScoreCounts.of([0.1, 0.2, 0.3], threshold=0.9)
    metrics = estimate(reference, window, rows_per_entity=1, resamples=50, seed=1).metrics
    assert metrics["precision"].to_dict() == {"value": None, "low": None, "high": None}
    assert metrics["recall"].value == 0
    certain = np.repeat([0.0, 1.0], 50)  # separates the classes, so scores stand as they are
    nobody = ScoreCounts.of(np.zeros(30), threshold=0.5)
    metrics = estimate(
        reference_of(certain, certain), nobody, rows_per_entity=1, resamples=50, seed=1
    ).metrics
    assert metrics["recall"].value is None
    assert metrics["roc_auc"].value is None
    assert metrics["base_rate"].value == 0


@pytest.mark.long
@pytest.mark.parametrize(("rows", "window_rows"), [(765, 200), (765, 1000), (5000, 2000)])
def test_band_holds_the_realised_value_and_is_not_uselessly_wide(
    rows: int, window_rows: int
) -> None:
    """What 95 of 100 windows must hold, less the binomial error of this many trials."""
    rng = np.random.default_rng(17)
    trials, held, widths, errors = 60, [], [], []
    for trial in range(trials):
        reference = reference_of(*drawn(rows, rng))
        scores, labels = drawn(window_rows, rng)
        estimated = estimate(
            reference,
            ScoreCounts.of(scores, threshold=0.5),
            rows_per_entity=1,
            resamples=120,
            seed=trial,
        )
        truth = realised(scores, labels, 0.5)
        bands = [
            (estimated.metrics[name].low or 0.0, truth[name], estimated.metrics[name].high or 0.0)
            for name in ("recall", "precision")
        ]
        held.append([low <= value <= high for low, value, high in bands])
        widths.append([high - low for low, _, high in bands])
        errors.append([value - (low + high) / 2 for low, value, high in bands])
    fewest = 0.95 - 2.33 * np.sqrt(0.95 * 0.05 / trials)
    assert (np.mean(held, axis=0) >= fewest).all()
    # Nobody can be surer than the errors really are: 3.92 of their deviations hold 95 %.
    assert (np.mean(widths, axis=0) <= 1.8 * 3.92 * np.std(errors, axis=0)).all()


def test_the_middle_of_the_band_is_not_what_a_curve_that_follows_too_closely_expects() -> None:
    """A curve fitted on 200 rows expects too much, by 3 to 4 points; the middle of the band
    must be off by less than 2, which is three of the standard errors that 40 references leave."""
    rng = np.random.default_rng(11)
    scores, labels = drawn(30_000, rng)
    window, truth = ScoreCounts.of(scores, threshold=0.5), realised(scores, labels, 0.5)
    names = ("recall", "precision", "f1", "roc_auc")
    off = []
    for trial in range(40):
        known = reference_of(*drawn(200, rng))
        reference = CalibrationReference(known.scores, known.labels, known.entities, decided=True)
        found = estimate(reference, window, rows_per_entity=1, resamples=30, seed=trial).metrics
        bands = [(found[name].low or 0.0, found[name].high or 0.0) for name in names]
        off.append([sum(band) / 2 - truth[name] for name, band in zip(names, bands, strict=True)])
    assert np.abs(np.mean(off, axis=0)).max() < 0.02


@pytest.mark.parametrize("curve", [True, False])
def test_band_holds_what_the_reference_itself_had(*, curve: bool) -> None:
    """600 of 1,000 rows positive below the threshold and 400 of 1,000 above it, so a recall of
    0.4. A curve can only pool them and expects 0.5; the scores as they stand expect 0.6."""
    scores = np.repeat([0.4, 0.6], 1000)
    labels = np.concatenate([np.arange(1000) < 600, np.arange(1000) < 400]).astype(np.int8)
    reference = CalibrationReference(scores, labels, np.arange(2000), decided=curve)
    window = ScoreCounts.of(scores, threshold=0.5)
    recall = estimate(reference, window, rows_per_entity=1, resamples=200, seed=1).metrics["recall"]
    assert recall.low is not None
    assert recall.value == pytest.approx(0.5 if curve else 0.6)
    assert recall.low < 0.4


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_no_number_of_rows_makes_the_band_narrower_than_a_concept_stands_still(
    share: float,
) -> None:
    """Scores that were always right leave the reference no doubt, and 10^12 rows no noise: what is
    left is a concept that moves by 0.05 in log-odds, one standard deviation. A share then moves by
    share * (1 - share) * 0.05, and the band is one of 99 %."""
    certain = np.repeat([0.0, 1.0], 50)
    window = ScoreCounts(0.5, np.array([share]), np.array([10**12]))
    found = estimate(
        reference_of(certain, certain), window, rows_per_entity=1, resamples=4000, seed=1
    ).metrics["base_rate"]
    assert found.low is not None
    assert found.high is not None
    expected = norm.ppf(0.995) * share * (1 - share) * 0.05
    # 4,000 draws know a deviation to 1.1 % (one standard error).
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.045)


def test_band_says_nothing_about_a_concept_that_changed() -> None:
    rng = np.random.default_rng(5)
    reference = reference_of(*drawn(5000, rng))
    scores, labels = drawn(2000, rng, concept=1.5)
    window = ScoreCounts.of(scores, threshold=0.5)
    metrics = estimate(reference, window, rows_per_entity=1, resamples=200, seed=1).metrics
    truth = realised(scores, labels, 0.5)
    for name in ("recall", "precision", "base_rate"):
        low, high = metrics[name].low, metrics[name].high
        assert low is not None
        assert high is not None
        assert not low <= truth[name] <= high


def test_labels_that_repeat_by_entity_widen_the_band() -> None:
    """Ten alike rows of each entity: the realised recall varies as that of a tenth of the rows."""
    rng = np.random.default_rng(8)
    reference = reference_of(*drawn(1500, rng))
    held: list[bool] = []
    narrow: list[bool] = []
    for trial in range(40):
        few, few_labels = drawn(60, rng)
        scores, labels = np.repeat(few, 10), np.repeat(few_labels, 10)
        window = ScoreCounts.of(scores, threshold=0.5)
        truth = realised(scores, labels, 0.5)["recall"]
        for rows_per_entity, into in ((10, held), (1, narrow)):
            band = estimate(
                reference, window, rows_per_entity=rows_per_entity, resamples=80, seed=trial
            ).metrics["recall"]
            assert band.low is not None
            assert band.high is not None
            into.append(band.low <= truth <= band.high)
    assert np.mean(held) >= 0.9
    assert np.mean(narrow) < 0.8


def test_an_estimate_is_the_same_again_and_its_document_is_strict_json() -> None:
    reference = reference_of(*drawn(400, np.random.default_rng(1)))
    window = ScoreCounts.of(np.linspace(0, 1, 300), threshold=0.5)
    first, again = (
        estimate(reference, window, rows_per_entity=1, resamples=30, seed=9) for _ in range(2)
    )
    assert first == again
    document = first.to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(document["metrics"]) == set(cbpe.METRICS)
    for metric in first.metrics.values():
        assert metric.low is not None
        assert metric.value is not None
        assert metric.high is not None
        assert 0 <= metric.low <= metric.value <= metric.high <= 1


def test_estimate_refuses_what_it_cannot_estimate() -> None:
    reference = reference_of(*drawn(400, np.random.default_rng(1)))
    empty = ScoreCounts.of([], threshold=0.5)
    with pytest.raises(ValueError, match="without rows"):
        estimate(reference, empty, rows_per_entity=1, resamples=10, seed=1)
    with pytest.raises(ValueError, match="rows per entity"):
        estimate(reference, empty.add([0.5]), rows_per_entity=0.5, resamples=10, seed=1)


@given(SCORES, SCORES)
def test_score_counts_add_up(some: list[float], more: list[float]) -> None:
    values, counts = np.unique([*some, *more], return_counts=True)
    one = ScoreCounts.of(some, threshold=0.5)
    for both in (one.merge(ScoreCounts.of(more, threshold=0.5)), one.add(more)):
        assert both.values.tolist() == values.tolist()
        assert both.counts.tolist() == counts.tolist()
        assert both.rows == len(some) + len(more)


@pytest.mark.parametrize("gather", [ScoreCounts.add, lambda c, s: c.merge(c.of(s, threshold=T))])
def test_many_scores_stay_bounded_and_keep_the_threshold_and_the_mean(
    gather: Callable[[ScoreCounts, Floats], ScoreCounts],
) -> None:
    rng = np.random.default_rng(4)
    batches = [rng.beta(2, 3, 50_000) for _ in range(6)]
    batches.append(np.concatenate([np.full(500, T), np.full(500, np.nextafter(T, 0))]))
    counts = ScoreCounts.of([], threshold=T)
    for batch in batches:
        counts = gather(counts, batch)
        assert len(counts.values) <= cbpe.MAX_VALUES
    scores = np.concatenate(batches)
    assert counts.rows == len(scores)
    assert int(counts.counts[counts.flagged].sum()) == int((scores >= T).sum())
    assert counts.values @ counts.counts == pytest.approx(scores.sum(), rel=1e-9)
    assert all(low <= high for low, high in pairwise(counts.values.tolist()))
    assert len(counts.coarse().values) <= 4097


@pytest.mark.parametrize("wrong", [[0.5, float("nan")], [-0.1], [1.1], [float("inf")]])
def test_score_counts_refuse_what_is_no_probability(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="not within"):
        ScoreCounts.of(wrong, threshold=0.5)
    gathered = ScoreCounts.of(np.linspace(0, 1, 70_000), threshold=0.5)
    with pytest.raises(ValueError, match="not within"):
        gathered.add(wrong)


def test_score_counts_of_two_thresholds_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        ScoreCounts.of([0.1], threshold=0.5).merge(ScoreCounts.of([0.1], threshold=0.6))
