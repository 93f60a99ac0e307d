import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from monitoring.drift.comparison import DriftReport, FeatureDrift, compare, overall
from monitoring.reference.bins import Column, Kind
from monitoring.reference.profiling import build_reference
from monitoring.statistics import benjamini_hochberg, psi, psi_noise
from registry.configuration import DriftLimits

LIMITS = DriftLimits()
Columns = dict[str, Column]


def drift(
    before: Column, now: Column, kind: Kind = "number", entities: int | None = None
) -> FeatureDrift:
    """Of one feature, with a score that does not move."""
    reference = build_reference({"x": before}, {"x": kind}, np.full(len(before), 0.5), len(before))
    report = compare(reference, {"x": now}, np.full(len(now), 0.5), entities or len(now), LIMITS)
    return report.features[0]


def normal(rows: int, seed: int, shift: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(shift, 1, rows)


def towns(rows: int, seed: int, first: int = 0) -> list[str]:
    return [f"T{i}" for i in np.random.default_rng(seed).integers(first, first + 500, rows)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (normal(1000, 1), "number"),
        (np.full(1000, 3.14), "number"),
        (np.full(1000, np.nan), "number"),
        (np.arange(1000) % 7, "integer"),
        (["A", "B", None, "B"] * 250, "category"),
        ([None] * 1000, "category"),
    ],
)
def test_identical_data_has_no_drift(values: Column, kind: Kind) -> None:
    result = drift(values, values, kind)
    assert (result.psi, result.p, result.status) == (0, 1, "green")


@pytest.mark.parametrize("rows", [20, 1000])
def test_a_constant_that_changes_is_red(rows: int) -> None:
    assert drift(np.full(500, 3.14), np.full(rows, 2.71)).status == "red"


def zeros(rows: int, share: float, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return np.where(generator.random(rows) < share, 0, generator.exponential(size=rows))


def test_fewer_zeros_are_seen() -> None:
    result = drift(zeros(10_000, 0.9, 1), zeros(1000, 0.7, 2))
    # 0.2 ln(0.9/0.7) + 0.2 ln(0.3/0.1) = 0.050 + 0.220
    assert result.psi == pytest.approx(0.27, abs=0.07)
    assert result.status in ("yellow", "red")


def test_more_nulls_are_seen() -> None:
    before, now = normal(10_000, 1), normal(1000, 2)
    before[:500], now[:300] = np.nan, np.nan
    result = drift(before, now)
    assert (result.null_before, result.null_now) == (0.05, 0.3)
    # The nulls alone: 0.25 ln 6 = 0.448, and the rest lost a share of 0.25: 0.25 ln(0.95/0.70).
    assert result.psi == pytest.approx(0.448 + 0.076, abs=0.07)
    assert result.status == "red"
    assert result.unseen_now is None


def test_one_outlier_hides_nothing() -> None:
    before, now = normal(10_000, 1), normal(1000, 2, shift=0.5)
    plain, outlier = drift(before, now), drift(np.r_[before, 1e9], np.r_[now, 1e9])
    assert plain.status in ("yellow", "red")
    assert outlier.psi == pytest.approx(plain.psi, abs=0.005)


@pytest.mark.parametrize("rows", [20, 1000])
def test_nothing_but_an_unseen_level_is_red(rows: int) -> None:
    result = drift(["A", "B"] * 5000, ["Z"] * rows, "category")
    assert (result.status, result.unseen_now) == ("red", 1)


@pytest.mark.parametrize("reference_rows", [500, 1000, 10_000])
def test_many_equally_frequent_levels(reference_rows: int) -> None:
    before = towns(reference_rows, 1)
    colours = Counter(drift(before, towns(1000, seed), "category").status for seed in range(2, 22))
    assert colours == {"green": 20}
    assert drift(before, towns(1000, 2, first=500), "category").status == "red"
    assert drift(before, ["T7"] * 1000, "category").status == "red"


def test_a_column_that_becomes_all_null_is_red() -> None:
    assert drift(normal(500, 1), np.full(100, np.nan)).status == "red"
    assert drift(np.full(500, np.nan), normal(100, 1)).status == "red"


def test_infinities_are_values() -> None:
    result = drift(normal(500, 1), np.full(100, np.inf))
    assert (result.status, result.null_now) == ("red", 0)


def test_a_window_too_small_to_show_a_red_is_not_green() -> None:
    before = np.arange(10_000.0)
    # The window holds one row for each tenth: a PSI of 0, yet nothing is proven.
    few, many = drift(before, before[500::1000]), drift(before, before[50::100])
    assert (few.status, many.status) == ("inconclusive", "green")
    assert few.psi < LIMITS.yellow


def test_a_handful_of_rows_does_not_prove_a_constant() -> None:
    before = np.full(500, 1.0)
    assert drift(before, before[:5]).status == "inconclusive"
    assert drift(before, before[:50]).status == "green"


def test_a_large_psi_without_significance_is_inconclusive() -> None:
    result = drift([0.0, 1.0] * 250, [0.0] * 9 + [1.0] * 3)
    assert result.psi - result.noise > LIMITS.yellow
    assert result.q > LIMITS.max_q
    assert result.status == "inconclusive"


def test_colour_follows_the_psi_above_noise() -> None:
    before, now = np.repeat([0.0, 1.0], 5000), np.repeat([0.0, 1.0], (700, 300))
    result = drift(before, now)
    assert result.psi == psi([5000, 5000], [700, 300])
    assert result.noise == psi_noise(2, 10_000, 1000)
    reference = build_reference({"x": before}, {"x": "number"}, before, 10_000)
    excess = result.psi - result.noise
    for limits, colour in (
        (DriftLimits(yellow=excess, red=excess), "yellow"),
        (DriftLimits(yellow=excess / 2, red=np.nextafter(excess, 0)), "red"),
        (DriftLimits(yellow=np.nextafter(excess, 1), red=1), "green"),
        (DriftLimits(max_q=0), "inconclusive"),
    ):
        report = compare(reference, {"x": now}, now, 1000, limits)
        assert report.features[0].status == colour


KINDS: dict[str, Kind] = {"moved": "number", "same": "number", "level": "category"}


def report_of(moved: float = 0.0, rows: int = 1000, score_shift: float = 0.0) -> DriftReport:
    def sample(seed: int, size: int, shift: float) -> Columns:
        return {
            "level": ["A", "B"] * (size // 2),
            "same": normal(size, seed),
            "moved": normal(size, seed + 50, shift),
        }

    reference = build_reference(sample(1, 10_000, 0), KINDS, normal(10_000, 7), 10_000)
    window = sample(2, rows, moved)
    return compare(reference, window, normal(rows, 8, score_shift), rows, LIMITS)


def test_the_report_has_the_worst_colour_and_the_order_of_the_reference() -> None:
    report = report_of(moved=1)
    assert [feature.name for feature in report.features] == ["moved", "same", "level"]
    assert [feature.status for feature in report.features] == ["red", "green", "green"]
    assert (report.status, report.score.status, report.rows) == ("red", "green", 1000)
    assert report_of(moved=0.4).status == "yellow"
    assert report_of().status == "green"


def test_the_score_counts_for_the_report() -> None:
    report = report_of(score_shift=1)
    assert (report.status, report.score.status) == ("red", "red")


def test_green_only_where_the_score_and_most_features_were_judged() -> None:
    small = report_of(rows=20)
    # Two levels need 12 rows, ten bins need 36.
    assert [feature.status for feature in small.features][1:] == ["inconclusive", "green"]
    assert small.score.status == "inconclusive"
    assert small.status == "inconclusive"
    assert overall("green", ["green", "green", "inconclusive"]) == "green"
    assert overall("green", ["green", "inconclusive"]) == "inconclusive"
    assert overall("inconclusive", ["green", "green"]) == "inconclusive"
    assert overall("inconclusive", ["inconclusive", "yellow"]) == "yellow"
    assert overall("red", ["yellow", "inconclusive"]) == "red"


def test_q_is_over_the_features_and_the_score() -> None:
    report = report_of(moved=0.1)
    tests = (*report.features, report.score)
    expected = benjamini_hochberg([test.p for test in tests])
    assert tuple(test.q for test in tests) == expected


def test_a_missing_column_counts_as_null() -> None:
    reference = build_reference({"x": ["A", "B"] * 250}, {"x": "category"}, normal(500, 1), 500)
    feature = compare(reference, {"extra": [1.0]}, normal(100, 2), 100, LIMITS).features[0]
    assert (feature.status, feature.null_now, feature.unseen_now) == ("red", 1, 0)
    assert [(item.label, item.before, item.now) for item in feature.bins] == [
        ("level A", 250, 0), ("level B", 250, 0), ("RARE", 0, 0), ("UNSEEN", 0, 0),
        ("NULL", 0, 100),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "rows", "entities"),
    [({"x": []}, 0, 0), ({"x": [1.0]}, 2, 2), ({"x": [1.0, 2.0]}, 2, 3), ({"x": [1.0]}, 1, 0)],
    ids=["no rows", "short column", "too many entities", "no entities"],
)
def test_an_impossible_window_is_refused(columns: Columns, rows: int, entities: int) -> None:
    reference = build_reference({"x": normal(100, 1)}, {"x": "number"}, normal(100, 2), 100)
    with pytest.raises(ValueError, match=r"without rows|values for|cannot make"):
        compare(reference, columns, np.full(rows, 0.5), entities, LIMITS)


def test_the_report_is_strict_json_and_always_the_same() -> None:
    first, second = (
        json.dumps(report_of(moved=0.5, rows=40).to_dict(), allow_nan=False) for _ in range(2)
    )
    assert first == second
    assert json.loads(first)["features"][0]["bins"][-1] == {"label": "NULL", "before": 0, "now": 0}


def test_entities_that_repeat_are_not_independent_rows() -> None:
    generator = np.random.default_rng(3)
    reference = build_reference(
        {f"x{i}": generator.normal(size=2000) for i in range(10)},
        dict.fromkeys((f"x{i}" for i in range(10)), "number"),
        generator.normal(size=2000),
        2000,
    )
    honest: Counter[str] = Counter()
    naive: Counter[str] = Counter()
    for _ in range(100):
        people = np.repeat(generator.normal(size=(11, 50)), 20, axis=1)
        columns = {f"x{i}": people[i] for i in range(10)}
        honest[compare(reference, columns, people[10], 50, LIMITS).status] += 1
        naive[compare(reference, columns, people[10], 1000, LIMITS).status] += 1
    print(f"50 entities x 20 rows: {dict(honest)}, taken as 1,000 rows: {dict(naive)}")
    assert honest["red"] <= 5
    assert naive["red"] >= 50


LEVELS = np.array([f"L{i}" for i in range(500)])
ZIPF = 1 / np.arange(1, 41) / np.sum(1 / np.arange(1, 41))
POPULATION: dict[str, Kind] = {
    **dict.fromkeys(("normal_a", "normal_b", "nulls", "cauchy", "marks"), "number"),
    **dict.fromkeys(("three", "zeros", "mostly_null"), "number"),
    **dict.fromkeys(("age", "phase"), "integer"),
    **dict.fromkeys(("sex", "school", "town"), "category"),
}


def population(generator: Generator, rows: int) -> tuple[Columns, NDArray[np.float64]]:
    """Thirteen features of all kinds, and a score that depends on one of them."""

    def some_null(values: NDArray[Any], share: float) -> NDArray[np.float64]:
        return np.where(generator.random(rows) < share, np.nan, values)

    normal_a, zero = generator.normal(size=rows), generator.random((2, rows))
    columns: Columns = {
        "normal_a": normal_a,
        "normal_b": generator.normal(size=rows),
        "nulls": some_null(generator.normal(size=rows), 0.05),
        "cauchy": generator.standard_cauchy(rows),
        "marks": some_null(generator.beta(4, 2, rows).round(2) * 10, 0.1),
        "three": some_null(generator.choice([2.5, 5, 10], rows, p=[0.1, 0.3, 0.6]), 0.02),
        "zeros": np.where(zero[0] < 0.9, 0, generator.exponential(size=rows)),
        "mostly_null": some_null(np.where(zero[1] < 0.5, 0, generator.normal(size=rows)), 0.6),
        "age": generator.integers(7, 22, rows),
        "phase": generator.binomial(8, 0.3, rows),
        "sex": generator.choice(np.array(["F", "M", None]), rows, p=[0.47, 0.5, 0.03]),
        "school": generator.choice(LEVELS[:40], rows, p=ZIPF),
        "town": generator.choice(LEVELS, rows),
    }
    return columns, 1 / (1 + np.exp(-normal_a - generator.normal(size=rows)))


@pytest.mark.long
def test_false_alarms_are_rare() -> None:
    alarms = []
    for rows in (500, 10_000):
        for size in (50, 100, 200, 1000):
            seen: Counter[str] = Counter()
            for trial in range(20):
                generator = np.random.default_rng((rows, size, trial))
                columns, scores = population(generator, rows)
                reference = build_reference(columns, POPULATION, scores, rows)
                for _ in range(10):
                    columns, scores = population(generator, size)
                    seen[compare(reference, columns, scores, size, LIMITS).status] += 1
            red, yellow = seen["red"] / 200, seen["yellow"] / 200
            print(f"reference {rows}, window {size}: red {red:.2%}, yellow {yellow:.2%}")
            assert red <= 0.05
            alarms.append(red + yellow)
    # Each cell is known to within 0.015 (one standard error); together they keep the 5 %.
    assert max(alarms) <= 0.075
    assert np.mean(alarms) <= 0.05


@pytest.mark.slow
def test_half_a_deviation_is_detected_among_thirteen_features() -> None:
    generator = np.random.default_rng(17)
    columns, scores = population(generator, 10_000)
    reference = build_reference(columns, POPULATION, scores, 10_000)
    seen: Counter[str] = Counter()
    for _ in range(200):
        columns, scores = population(generator, 200)
        columns["normal_b"] = generator.normal(0.5, 1, 200)
        report = compare(reference, columns, scores, 200, LIMITS)
        seen[report.features[1].status] += 1
    print(f"+0.5 sd at 200 rows: {dict(seen)}")
    assert seen["yellow"] + seen["red"] >= 180
