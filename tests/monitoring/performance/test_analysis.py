"""Verdicts that are right about recall, and a document whose numbers are scikit-learn's."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, binomtest
from sklearn import metrics as reference

from monitoring.performance.analysis import Standard, Verdict, analyse, judge
from monitoring.performance.calibrator import CalibrationReference
from monitoring.performance.evaluation import ALL_METRICS, Estimate, Rate, rate
from monitoring.performance.label_checks import Arrivals
from monitoring.performance.outcomes import MICROS_PER_DAY, UNKNOWN, Outcomes
from monitoring.reference.bins import Coded

FLOOR = 0.70
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1e6)
NOW = MONDAY + 200 * MICROS_PER_DAY


def of(caught: int, positives: int, training: float | None = 0.8) -> Verdict:
    recall = Rate(caught, positives, float(positives))
    return judge(recall, floor=FLOOR, training=training)


@pytest.mark.parametrize(
    ("caught", "positives", "expected"),
    [
        (0, 0, "no_positives"),
        # Bad luck explains it: P(X <= 20 | 30, 0.75) = 0.197, P(X <= 18 | 30, 0.75) = 0.051.
        (20, 30, "few_positives"),
        (18, 30, "few_positives"),
        (17, 30, "breach"),  # 0.022; the interval 0.39 to 0.73
        (16, 30, "confirmed"),  # the interval 0.36 to 0.698
        (130, 200, "breach"),  # 0.65; the interval reaches 0.713
        (120, 200, "confirmed"),
        (695, 1000, "breach"),
        (0, 1, "few_positives"),
        (1, 1, "few_positives"),
        (0, 2, "few_positives"),  # 0.25² = 0.0625
        (8, 10, "few_positives"),  # the interval starts at 0.49
        (22, 30, "few_positives"),
        (25, 30, "fine"),  # at 0.664
        (75, 100, "fine"),
        (70, 100, "fine"),
        (10, 10, "fine"),
    ],
)
def test_verdicts_by_hand(caught: int, positives: int, expected: str) -> None:
    found = of(caught, positives)
    assert found.reason == expected
    colours = {"breach": "yellow", "confirmed": "red", "fine": "green"}
    assert found.status == colours.get(expected, "inconclusive")


def chance(of_status: set[str], truth: float, positives: int, training: float | None) -> float:
    """The exact probability of a status, over all that can be caught."""
    caught = np.arange(positives + 1)
    hit = [of(int(k), positives, training).status in of_status for k in caught]
    return float(binom.pmf(caught, positives, truth)[hit].sum())


ALARM = {"yellow", "red"}


@pytest.mark.parametrize("training", [None, 0.65, 0.72, 0.75, 0.9])
def test_a_model_as_good_as_it_was_cries_wolf_in_one_window_of_twenty_at_most(
    training: float | None,
) -> None:
    healthy = max(training or 0.75, FLOOR)
    for positives in (1, 2, 3, 5, 8, 12, 20, 30, 47, 50, 80, 100, 151, 200, 300, 1000):
        assert chance(ALARM, healthy, positives, training) <= 0.05


def test_thirty_positives_at_75_percent() -> None:
    """Where "recall < 0.70" cries wolf in 20 % of windows."""
    assert binom.cdf(20, 30, 0.75) == pytest.approx(0.197, abs=1e-3)
    assert chance(ALARM, 0.75, 30, 0.9) <= 0.05
    assert chance({"red"}, 0.75, 30, 0.9) <= 0.025


@pytest.mark.parametrize("floor", [0.05, 0.5, 0.9, 0.97, 0.99])
def test_every_floor_leaves_room_above_it(floor: float) -> None:
    truth = floor + min(0.05, (1 - floor) / 2)
    for positives in (10, 100, 1000):
        caught = np.arange(positives + 1)
        found = [judge(Rate(int(k), positives, positives), floor=floor, training=1) for k in caught]
        alarm = np.array([verdict.status in ALARM for verdict in found])
        assert binom.pmf(caught, positives, truth)[alarm].sum() <= 0.05
        assert found[-1].status != "red"
    assert alarm[0]


def test_a_recall_that_fell_is_found() -> None:
    assert chance({"red"}, 0.50, 100, 0.8) >= 0.98
    assert chance(ALARM, 0.60, 100, 0.8) >= 0.90
    assert chance(ALARM, 0.65, 300, 0.8) >= 0.95


def test_a_green_is_not_given_to_a_recall_ten_points_below_the_floor() -> None:
    for positives in (1, 5, 6, 10, 20, 30, 50, 100, 300, 1000):
        assert chance({"green"}, 0.60, positives, 0.8) <= 0.05
    assert chance({"green"}, 0.80, 100, 0.8) >= 0.98


@given(st.integers(1, 400), st.data())
def test_catching_more_never_makes_it_worse(positives: int, data: st.DataObject) -> None:
    order = ["red", "yellow", "inconclusive", "green"]
    caught = data.draw(st.integers(0, positives - 1))
    one, more = (order.index(of(k, positives).status) for k in (caught, caught + 1))
    assert one <= more


@given(st.integers(1, 300), st.data())
def test_a_breach_is_what_the_exact_binomial_test_refutes(
    positives: int, data: st.DataObject
) -> None:
    caught = data.draw(st.integers(0, positives))
    test = binomtest(caught, positives, 0.75, alternative="less")
    alarm = caught / positives < FLOOR and test.pvalue <= 0.05
    assert (of(caught, positives, None).status in ALARM) == alarm
    if of(caught, positives, None).status == "red":
        assert binomtest(caught, positives).proportion_ci(method="wilson").high < FLOOR


def clustered(
    rng: np.random.Generator, entities: int, rows: int, truth: float, alike: bool
) -> Rate:
    owners = np.repeat(np.arange(entities), rows)
    luck = rng.random(entities)[owners] if alike else rng.random(len(owners))
    return rate(luck < truth, owners)


def test_fifty_entities_of_twenty_rows_are_not_a_thousand_rows() -> None:
    """1,000 windows without any change: each entity is caught in all its rows or none."""
    rng = np.random.default_rng(4)
    statuses = [
        judge(clustered(rng, 50, 20, 0.75, alike=True), floor=FLOOR, training=0.75).status
        for _ in range(1000)
    ]
    assert statuses.count("red") <= 25
    assert sum(status in ALARM for status in statuses) <= 50
    naive = sum(
        judge(Rate(r.successes, r.trials, r.trials), floor=FLOOR, training=0.75).status in ALARM
        for r in (clustered(rng, 50, 20, 0.75, alike=True) for _ in range(200))
    )
    assert naive > 30
    fallen = [
        judge(clustered(rng, 200, 20, 0.5, alike=True), floor=FLOOR, training=0.75).status
        for _ in range(200)
    ]
    assert fallen.count("red") >= 195


def test_rows_that_only_share_an_entity_are_not_wasted() -> None:
    rng = np.random.default_rng(6)
    statuses = [
        judge(clustered(rng, 50, 20, 0.65, alike=False), floor=FLOOR, training=0.8).status
        for _ in range(100)
    ]
    assert sum(status in ALARM for status in statuses) >= 95


def outcomes(rows: int = 2000, seed: int = 0, **changes: Any) -> Outcomes:
    """Calibrated scores and labels of four weeks, 40 % positive, recall about 0.79."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1.2, 1.8, rows)
    days = np.sort(rng.integers(0, 28, rows))
    facts: dict[str, Any] = {
        "times": MONDAY + days * MICROS_PER_DAY,
        "scores": scores,
        "flags": scores >= 0.35,
        "entities": np.arange(rows),
        "labels": (rng.random(rows) < scores).astype(np.int8),
        "observed": MONDAY + (days + 60) * MICROS_PER_DAY,
        "revised": np.zeros(rows, dtype=bool),
        "contradicted": np.zeros(rows, dtype=bool),
        "columns": {
            "school": Coded(rng.integers(-1, 2, rows).astype(np.int32), ("public", "private"))
        },
    }
    return Outcomes(**(facts | changes))


def arrivals(**changes: Any) -> Arrivals:
    facts: dict[str, Any] = {
        "now": NOW,
        "delay_days": 90,
        "training_rows": 1000,
        "training_positives": 400,
        "training_entities": 1000,
        "labels": 2000,
        "orphans": 0,
    }
    return Arrivals(**(facts | changes))


def standard(**changes: Any) -> Standard:
    training = {"recall": Estimate(0.79, 0.75, 0.83), "roc_auc": Estimate(0.8, 0.78, 0.82)}
    facts: dict[str, Any] = {
        "floor": FLOOR, "threshold": 0.35, "training": training, "calibration": None,
    }  # fmt: skip
    return Standard(**(facts | changes))


def calibration(seed: int = 9) -> CalibrationReference:
    other = outcomes(3000, seed)
    return CalibrationReference.of(other.scores, other.labels, other.entities, seed=0)


def made(given: Outcomes, **changes: Any) -> dict[str, Any]:
    """The document, which must be strict JSON."""
    found = analyse(given, arrivals(**changes), standard(calibration=calibration()))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def blank(given: Outcomes, rows: NDArray[np.bool_]) -> Outcomes:
    return outcomes(len(given), labels=np.where(rows, UNKNOWN, given.labels).astype(np.int8))


def test_metrics_are_those_of_scikit_learn_over_labelled_rows() -> None:
    whole = outcomes()
    lost = np.random.default_rng(1).random(2000) < 0.1
    found = made(blank(whole, lost))
    target, scores, flags = (x[~lost] for x in (whole.labels, whole.scores, whole.flags))
    expected = {
        "recall": reference.recall_score(target, flags),
        "precision": reference.precision_score(target, flags),
        "f1": reference.f1_score(target, flags),
        "f2": reference.fbeta_score(target, flags, beta=2),
        "pr_auc": reference.average_precision_score(target, scores),
        "roc_auc": reference.roc_auc_score(target, scores),
        "brier": reference.brier_score_loss(target, scores),
    }
    values = {name: metric["value"] for name, metric in found["metrics"].items()}
    assert values.keys() == set(ALL_METRICS)
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    positives, caught = int(target.sum()), int(target[flags].sum())
    by_scipy = binomtest(caught, positives).proportion_ci(method="wilson")
    recall = found["metrics"]["recall"]
    assert (recall["low"], recall["high"]) == pytest.approx(tuple(by_scipy), abs=1e-6)
    assert (found["status"], found["reason"]) == ("green", "fine")
    assert found["labels"]["positives"] == positives
    assert found["training"]["recall"] == {"value": 0.79, "low": 0.75, "high": 0.83}


def test_weeks_start_on_monday_and_add_up() -> None:
    whole = outcomes()
    early_sunday = MONDAY - 1
    moved = outcomes(times=np.where(np.arange(2000) < 5, early_sunday, whole.times))
    found = made(moved)
    weeks = found["weeks"]
    assert [week["start"] for week in weeks] == [
        "2026-02-23", "2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23",
    ]  # fmt: skip
    assert all(datetime.fromisoformat(week["start"]).isoweekday() == 1 for week in weeks)
    assert weeks[0]["rows"] == 5
    assert sum(week["rows"] for week in weeks) == 2000
    assert sum(week["positives"] for week in weeks) == found["labels"]["positives"]
    second = (moved.times >= MONDAY) & (moved.times < MONDAY + 7 * MICROS_PER_DAY)
    target, flags = moved.labels[second], moved.flags[second]
    assert weeks[1]["recall"]["value"] == pytest.approx(
        reference.recall_score(target, flags), abs=1e-6
    )
    assert weeks[1]["precision"]["value"] == pytest.approx(
        reference.precision_score(target, flags), abs=1e-6
    )


def test_a_week_without_labels_has_no_recall() -> None:
    whole = outcomes()
    last = whole.times >= MONDAY + 21 * MICROS_PER_DAY
    week = made(blank(whole, last))["weeks"][-1]
    assert (week["rows"], week["labelled"], week["positives"]) == (last.sum(), 0, 0)
    assert week["recall"] == {"value": None, "low": None, "high": None}


def test_reliability_is_ten_bins_of_equal_mass() -> None:
    given = outcomes()
    found = made(given)["reliability"]
    ranked = np.argsort(given.scores)
    assert [one["rows"] for one in found] == [200] * 10
    scores = given.scores[ranked].reshape(10, 200).mean(axis=1)
    observed = given.labels[ranked].reshape(10, 200)
    assert [one["score"] for one in found] == pytest.approx(list(scores))
    assert [one["observed"] for one in found] == pytest.approx(list(observed.mean(axis=1)))
    for one, hits in zip(found, observed.sum(axis=1), strict=True):
        by_scipy = binomtest(int(hits), 200).proportion_ci(method="wilson")
        assert (one["low"], one["high"]) == pytest.approx(tuple(by_scipy), abs=1e-6)


def test_a_segment_that_is_worse_is_named_and_watched() -> None:
    given = outcomes()
    private = given.columns["school"].codes == 1
    missed = private & (np.random.default_rng(2).random(2000) < 0.3)
    found = made(outcomes(flags=given.flags & ~missed))
    worse = [(s["feature"], s["level"]) for s in found["segments"] if s["worse"]]
    assert worse == [("school", "private")]
    assert {s["level"] for s in found["segments"]} == {"public", "private", "NULL"}
    assert (found["status"], found["next_step"]) == ("green", "watch")


def test_without_any_label_there_is_an_estimate_and_no_verdict() -> None:
    nothing = blank(outcomes(), np.ones(2000, dtype=bool))
    found = made(nothing)
    assert (found["status"], found["reason"]) == ("inconclusive", "no_labels")
    assert found["next_step"] == "check_labels"  # they are overdue
    assert made(nothing, now=MONDAY)["next_step"] == "wait_for_labels"
    assert {name: m["value"] for name, m in found["metrics"].items()} == dict.fromkeys(ALL_METRICS)
    assert found["estimate"]["rows"] == 2000
    assert found["estimate_error"] is None
    assert (found["reliability"], found["segments"]) == ([], [])


def test_the_estimate_is_held_against_what_came() -> None:
    whole = outcomes()
    lost = np.random.default_rng(1).random(2000) < 0.1
    found = made(blank(whole, lost))
    assert found["estimate"]["rows"] == np.count_nonzero(~lost)
    assert {"recall", "precision", "f1", "roc_auc"} <= found["estimate_error"].keys()
    for name, error in found["estimate_error"].items():
        if name in found["metrics"]:
            guess = found["estimate"]["metrics"][name]["value"]
            assert error == pytest.approx(guess - found["metrics"][name]["value"], abs=2e-6)
            assert abs(error) < 0.05
    assert found["estimate"]["training"]["recall"]["value"] == 0.79


def test_a_version_that_keeps_no_calibration_gets_no_estimate() -> None:
    found = analyse(outcomes(), arrivals(), standard())
    assert found["estimate"] is None
    assert found["estimate_error"] is None
    assert found["status"] == "green"


def test_zero_positives_is_neither_zero_nor_fine() -> None:
    few = outcomes(5, labels=np.zeros(5, dtype=np.int8))
    found = made(few)
    assert (found["status"], found["reason"]) == ("inconclusive", "no_positives")
    assert found["metrics"]["recall"] == {"value": None, "low": None, "high": None}
    assert found["next_step"] == "more_rows"
    many = made(outcomes(labels=np.zeros(2000, dtype=np.int8)))
    assert many["reason"] == "no_positives"
    assert many["next_step"] == "check_labels"


@pytest.mark.parametrize("recall", [0.4, 0.95])
def test_doubtful_labels_give_no_colour_and_hide_no_number(recall: float) -> None:
    given = outcomes()
    flags = np.random.default_rng(3).random(2000) < recall
    fine = made(outcomes(flags=flags))
    assert fine["status"] == ("red" if recall < FLOOR else "green")
    early = made(outcomes(flags=flags, observed=given.times - 10 * MICROS_PER_DAY))
    assert (early["status"], early["reason"]) == ("inconclusive", "labels_doubtful")
    assert early["next_step"] == "check_labels"
    assert early["metrics"] == fine["metrics"]
    assert [c["name"] for c in early["labels"]["checks"] if c["status"] == "fail"] == ["delay"]


@pytest.mark.parametrize(
    ("recall", "status", "reason", "step"),
    [
        (0.4, "red", "confirmed", "roll_back_check"),
        (0.68, "yellow", "breach", "retrain_check"),
        (0.9, "green", "fine", "nothing"),
    ],
)
def test_each_colour_has_its_next_step(recall: float, status: str, reason: str, step: str) -> None:
    given = outcomes()
    order = np.cumsum(given.labels == 1) / (given.labels == 1).sum()
    flags = np.where(given.labels == 1, (order * 1000).astype(int) % 100 < 100 * recall, False)
    found = made(outcomes(flags=flags, columns={}))
    assert (found["status"], found["reason"], found["next_step"]) == (status, reason, step)


def test_a_warning_leaves_the_verdict() -> None:
    found = made(outcomes(), orphans=200)
    assert (found["status"], found["next_step"]) == ("green", "watch")


def test_the_same_rows_get_the_same_document() -> None:
    assert made(outcomes()) == made(outcomes())
