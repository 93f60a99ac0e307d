"""Doubt where labels are wrong, and none where they are right."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from monitoring.performance.label_checks import Arrivals, Check, confirm, document, failed
from monitoring.performance.outcomes import CONFLICT, MICROS_PER_DAY, UNKNOWN, Outcomes

DAY = MICROS_PER_DAY
START = 20_000 * DAY  # midnight
NOW = START + 200 * DAY


def outcomes(
    rows: int = 1000, seed: int = 0, *, observed_after: float = 60.0, **changes: Any
) -> Outcomes:
    """Calibrated scores and their labels, one row an entity, 30 days of noons."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 3, rows)
    times = START + np.sort(rng.integers(0, 30, rows)) * DAY + DAY // 2
    facts: dict[str, Any] = {
        "times": times,
        "scores": scores,
        "flags": scores >= 0.4,
        "entities": np.arange(rows),
        "labels": (rng.random(rows) < scores).astype(np.int8),
        "observed": times + int(observed_after * DAY),
        "revised": np.zeros(rows, dtype=bool),
        "contradicted": np.zeros(rows, dtype=bool),
        "columns": {},
    }
    return Outcomes(**(facts | changes))


def hidden(given: Outcomes, rows: NDArray[np.bool_], value: int = UNKNOWN) -> Outcomes:
    """Without the labels of some rows."""
    labels = np.where(rows, value, given.labels).astype(np.int8)
    return outcomes(len(given), labels=labels)


def arrivals(**changes: Any) -> Arrivals:
    facts: dict[str, Any] = {
        "now": NOW,
        "delay_days": 90,
        "training_rows": 1000,
        "training_positives": 400,
        "training_entities": 1000,
        "labels": 1000,
        "orphans": 0,
    }
    return Arrivals(**(facts | changes))


def checks(given: Outcomes, **changes: Any) -> dict[str, Check]:
    return {check.name: check for check in confirm(given, arrivals(**changes))}


def doubted(given: Outcomes, **changes: Any) -> dict[str, str]:
    found = checks(given, **changes)
    return {name: check.status for name, check in found.items() if check.status != "ok"}


def test_labels_that_are_right_raise_no_doubt() -> None:
    assert list(checks(outcomes())) == [
        "coverage", "delay", "duplicates", "conflicts",
        "orphans", "base_rate", "one_class", "selective",
    ]  # fmt: skip
    wrong = [doubted(outcomes(500, seed), training_positives=400) for seed in range(100)]
    assert sum(bool(found) for found in wrong) <= 2


def test_labels_missing_at_random_are_few_and_not_selected() -> None:
    lost = np.random.default_rng(1).random(1000)
    assert doubted(hidden(outcomes(), lost < 0.10)) == {}
    assert doubted(hidden(outcomes(), lost < 0.45)) == {"coverage": "warn"}
    assert doubted(hidden(outcomes(), lost < 0.85)) == {"coverage": "fail"}


def test_coverage_is_of_what_is_due() -> None:
    half = START + 105 * DAY  # of the predictions of the first 15 days
    given = outcomes()
    due = given.times + 90 * DAY <= half
    found = checks(hidden(given, ~due), now=half)
    assert found["coverage"].detail == {
        "due": due.sum(),
        "labelled": due.sum(),
        "coverage": 1.0,
    }
    facts = document(hidden(given, ~due), arrivals(now=half), list(found.values()))
    assert (facts["predictions"], facts["due"], facts["labelled"]) == (1000, due.sum(), due.sum())
    assert facts["coverage"] == 1
    nothing_due = checks(hidden(given, ~due), now=START + 40 * DAY)["coverage"]
    assert (nothing_due.status, nothing_due.detail["coverage"]) == ("ok", None)


@pytest.mark.parametrize(("early", "status"), [(0, "ok"), (30, "warn"), (80, "fail")])
def test_a_label_known_before_the_day_of_its_prediction(early: int, status: str) -> None:
    given = outcomes()
    shift = np.where(np.arange(1000) < early, -DAY, 60 * DAY)
    found = checks(outcomes(observed=given.times + shift))["delay"]
    assert (found.status, found.detail["early"]) == (status, early / 1000)


def test_a_label_with_a_date_only_may_be_of_the_same_day() -> None:
    given = outcomes()
    assert doubted(outcomes(observed=given.times // DAY * DAY)) == {}


def test_labels_that_mostly_come_after_they_are_due() -> None:
    assert doubted(outcomes(observed_after=120)) == {"delay": "warn"}


def test_the_spread_of_delays_by_numpy() -> None:
    given = outcomes()
    days = np.random.default_rng(2).uniform(1, 80, 1000)
    late = outcomes(observed=given.times + (days * DAY).astype(np.int64))
    facts = document(late, arrivals(), [])
    assert facts["delay_days"]["median"] == pytest.approx(np.median(days), abs=1e-6)
    assert facts["delay_days"]["p95"] == pytest.approx(np.quantile(days, 0.95), abs=1e-6)
    unknown = hidden(given, np.ones(1000, dtype=bool))
    assert document(unknown, arrivals(), [])["delay_days"] is None
    assert document(unknown, arrivals(), [])["base_rate"] is None


@pytest.mark.parametrize(
    ("rows", "facts"),
    [
        (0, {}),
        (40, {"conflicts": "warn"}),
        (80, {"conflicts": "fail"}),
    ],
)
def test_conflicts(rows: int, facts: dict[str, str]) -> None:
    given = hidden(outcomes(), np.arange(1000) < rows, CONFLICT)
    assert doubted(given) == facts
    found = document(given, arrivals(), [])
    assert (found["conflicts"], found["labelled"]) == (rows, 1000 - rows)


def test_revisions_and_contradictions() -> None:
    first = np.arange(1000)
    assert doubted(outcomes(revised=first < 40)) == {}
    assert doubted(outcomes(revised=first < 100)) == {"duplicates": "warn"}
    assert doubted(outcomes(contradicted=first < 10)) == {"duplicates": "warn"}
    assert doubted(outcomes(contradicted=first < 100)) == {"duplicates": "fail"}


@pytest.mark.parametrize(("orphans", "status"), [(12, "ok"), (200, "warn"), (700, "fail")])
def test_orphans(orphans: int, status: str) -> None:
    assert checks(outcomes(), orphans=orphans)["orphans"].status == status


def labels_at(rate: float, rows: int = 1000) -> NDArray[np.int8]:
    return (np.arange(rows) % 100 < round(100 * rate)).astype(np.int8)


@pytest.mark.parametrize(
    ("now", "status"),
    # By hand, from 0.40: the odds change by 1.0, 1.2, 2.0, 4.4 and 4.1.
    [(0.40, "ok"), (0.45, "ok"), (0.57, "warn"), (0.75, "fail"), (0.14, "fail")],
)
def test_a_base_rate_that_jumped(now: float, status: str) -> None:
    found = checks(outcomes(labels=labels_at(now)))["base_rate"]
    assert found.status == status
    factor = now / (1 - now) / (0.4 / 0.6)
    assert found.detail["odds_factor"] == pytest.approx(factor, rel=0.02)


def test_a_jump_among_few_entities_can_be_luck() -> None:
    few = outcomes(12, labels=np.array([1] * 8 + [0] * 4, dtype=np.int8))
    assert checks(few)["base_rate"].status == "ok"
    copies = outcomes(
        1200, labels=np.repeat(few.labels, 100), entities=np.repeat(np.arange(12), 100)
    )
    assert checks(copies)["base_rate"].status == "ok"
    assert checks(outcomes(1200, labels=copies.labels))["base_rate"].status == "warn"


@pytest.mark.parametrize(
    ("rows", "value", "status"),
    # By chance, at 0.4 positive: 0.6^5 = 0.08, 0.6^10 = 0.006, 0.4^5 = 0.01024, 0.4^6 = 0.004.
    [(5, 0, "warn"), (10, 0, "fail"), (5, 1, "warn"), (6, 1, "fail")],
)
def test_labels_of_one_class(rows: int, value: int, status: str) -> None:
    found = checks(outcomes(rows, labels=np.full(rows, value, dtype=np.int8)))["one_class"]
    assert found.status == status
    assert (found.detail["positives"], found.detail["negatives"]) == (
        rows * value,
        rows * (1 - value),
    )


def test_labels_that_came_for_the_flagged_only() -> None:
    given = outcomes()
    assert doubted(hidden(given, ~given.flags))["selective"] == "fail"


def test_labels_that_came_for_one_class_only() -> None:
    given = outcomes()
    assert doubted(hidden(given, given.labels == 0))["selective"] == "fail"
    assert doubted(hidden(given, given.labels == 0))["one_class"] == "fail"


def test_a_few_odd_rows_without_a_label_do_not_matter() -> None:
    given = outcomes()
    highest = given.scores > np.quantile(given.scores, 0.98)
    assert doubted(hidden(given, highest)) == {}


def test_early_labels_are_compared_with_those_still_to_come() -> None:
    given = outcomes()
    early = {"now": START + 60 * DAY}
    assert "selective" not in doubted(hidden(given, np.arange(1000) % 2 == 0), **early)
    assert doubted(hidden(given, ~given.flags), **early)["selective"] == "fail"


def test_the_distance_of_scores_is_scipys() -> None:
    given = outcomes()
    lost = np.random.default_rng(3).random(1000) < 0.1 + 0.4 * given.scores
    found = checks(hidden(given, lost))["selective"].detail
    expected = ks_2samp(given.scores[~lost], given.scores[lost], method="asymp")
    assert found["distance"] == pytest.approx(expected.statistic)
    # Scipy's asymptotic p-value has a correction for small samples.
    assert found["p"] == pytest.approx(expected.pvalue, rel=0.25)
    assert found["effect"] == pytest.approx(expected.statistic * lost.mean())


def test_nothing_labelled_fails_nothing_but_coverage() -> None:
    unknown = hidden(outcomes(), np.ones(1000, dtype=bool))
    assert doubted(unknown) == {"coverage": "fail"}
    assert failed(confirm(unknown, arrivals()))
    assert not failed(confirm(outcomes(), arrivals()))
