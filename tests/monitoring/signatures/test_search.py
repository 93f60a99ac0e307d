"""Bugs done to rows of a known population, seeded: which feature and which kind is the truth."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from monitoring.reference.bins import Coded, Column, Kind
from monitoring.reference.profile import ReferenceProfile
from monitoring.reference.profiling import build_reference
from monitoring.signatures.search import Signature, find
from registry.schema import Feature, Schema

Generator = np.random.Generator
Columns = dict[str, NDArray[Any]]

NORMAL = {"centred": (0, 1), "weight": (50, 10), "pressure": (1013, 7), "cold": (-3, 2)}
INDICES = {
    "inde": (7.2, 0.9),
    "iaa": (8.3, 1.8),
    "ida": (6.4, 1.9),
    "mark": (5.8, 2.3),
    "ips": (7, 1),
}
SKEWED = ("lognormal", "gamma", "exponential", "rain")
NUMBERS = (*NORMAL, *INDICES, *SKEWED)
KINDS: dict[str, Kind] = {
    **dict.fromkeys(NUMBERS, "number"),
    "school": "category",
    "sex": "category",
}
SCHEMA = Schema(
    tuple(
        Feature(name, kind, "", optional=True, soft_range=(0, 10) if name in INDICES else None)
        for name, kind in KINDS.items()
    )
)
SWAPS = [("weight", "inde"), ("centred", "pressure"), ("cold", "ida"), ("weight", "gamma")]
FACTORS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)
TRIALS = 40


def people(
    rng: Generator, rows: int, *, moved: float = 0, wider: float = 1, levels: bool = False
) -> Columns:
    """13 numbers and 2 categories; `moved` in standard deviations, `levels` with other shares."""
    columns: Columns = {}
    for name, (mean, sd) in (NORMAL | INDICES).items():
        values = rng.normal(mean + moved * sd, wider * sd, rows)
        columns[name] = np.clip(values, 0, 10).round(1) if name in INDICES else values
    columns["ips"][rng.random(rows) < 0.05] = np.nan
    columns["lognormal"] = np.exp(rng.normal(2 + 0.6 * moved, 0.6 * wider, rows))
    columns["gamma"] = (rng.gamma(2, 3, rows) * wider * (1 + 0.7 * moved)).round(2)
    columns["exponential"] = rng.exponential(4, rows) * wider * (1 + moved)
    rain = rng.gamma(2, 1, rows) * wider * (1 + 0.7 * moved)
    columns["rain"] = np.where(rng.random(rows) < 0.4, 0, rain).round(2)
    schools = [0.3, 0.3, 0.2, 0.2] if levels else [0.5, 0.3, 0.15, 0.05]
    columns["school"] = rng.choice(np.array(["A", "B", "C", "D"], dtype=object), rows, p=schools)
    sexes = [0.5, 0.5] if levels else [0.84, 0.16]
    columns["sex"] = rng.choice(np.array(["F", "M"], dtype=object), rows, p=sexes)
    return columns


@cache
def reference(rows: int, seed: int) -> ReferenceProfile:
    rng = np.random.default_rng([1, rows, seed])
    return build_reference(people(rng, rows), KINDS, rng.random(rows), rows)


Truth = dict[str, dict[str, Any] | None]  # the detail, or None where it is not told beforehand


def swap(columns: Columns, rng: Generator) -> Truth:
    one, two = SWAPS[rng.integers(len(SWAPS))]
    columns[one], columns[two] = columns[two], columns[one]
    return {one: {"with": two}, two: {"with": one}}


def respell(columns: Columns, hit: NDArray[np.bool_], rng: Generator) -> Truth:
    name = str(rng.choice(["school", "sex"]))
    other = np.array([f"{level.lower()}." for level in columns[name]], dtype=object)
    columns[name] = np.where(hit, other, columns[name])
    return {name: None}


def multiply(columns: Columns, hit: NDArray[np.bool_], rng: Generator) -> Truth:
    name, factor = str(rng.choice(NUMBERS)), float(rng.choice(FACTORS))
    columns[name] = np.where(hit, np.round(columns[name] * factor, 5), columns[name])
    return {name: {"factor": factor}}


def beyond(name: str, rows: int, profile: ReferenceProfile, rng: Generator) -> NDArray[Any]:
    """Values about one width of the reference below all of it, or above."""
    shape = next(feature.shape for feature in profile.features if feature.name == name)
    assert shape is not None
    low, high = shape.quantiles[0], shape.quantiles[-1]
    far = (high - low) * rng.uniform(0.8, 2, rows)
    return high + far if rng.random() < 0.5 else low - far


def overwrite(
    kind: str, columns: Columns, hit: NDArray[np.bool_], profile: ReferenceProfile, rng: Generator
) -> Truth:
    name = str(rng.choice([*NORMAL, *INDICES] if kind == "integer" else NUMBERS))
    values = columns[name]
    # At 0, or at the ceiling, where half the rows may well be, it could be a population.
    sticks = rng.choice(values[(values % 10 != 0) & ~np.isnan(values)])
    bad = {
        "nulls": np.nan,
        "stuck": sticks,
        "range": beyond(name, len(values), profile, rng),
        "integer": np.round(values),
    }
    columns[name] = np.where(hit, bad[kind], values)
    return {name: None}


def trial(kind: str, share: float, profile: ReferenceProfile, rng: Generator) -> bool:
    """Whether exactly the damaged features are named, with the kind and the detail."""
    columns = people(rng, 200)
    hit = rng.permutation(200) < round(share * 200)
    if kind == "swapped":
        truth = swap(columns, rng)
    elif kind == "unseen":
        truth = respell(columns, hit, rng)
    elif kind == "factor":
        truth = multiply(columns, hit, rng)
    else:
        truth = overwrite(kind, columns, hit, profile, rng)
    found = find(profile, SCHEMA, columns, entities=200)
    return {signature.feature for signature in found} == set(truth) and all(
        signature.kind == kind and truth[signature.feature] in (None, signature.detail)
        for signature in found
    )


HALVED = ("nulls", "stuck", "factor", "unseen", "range")


@pytest.mark.parametrize("rows", [500, 10_000])
@pytest.mark.parametrize(
    ("kind", "share"),
    [*((kind, 1.0) for kind in (*HALVED, "swapped", "integer")), *((kind, 0.5) for kind in HALVED)],
)
def test_a_bug_in_200_rows_is_named(kind: str, share: float, rows: int) -> None:
    right = [
        trial(kind, share, reference(rows, seed % 3), np.random.default_rng([2, rows, seed]))
        for seed in range(TRIALS)
    ]
    assert np.mean(right) >= 0.95


def false_names(window: int, **change: Any) -> list[tuple[Signature, ...]]:
    named = [
        find(
            reference(rows, seed % 3),
            SCHEMA,
            people(np.random.default_rng([3, rows, window, seed]), window, **change),
            entities=window,
        )
        for rows in (500, 10_000)
        for seed in range(TRIALS // 2)
    ]
    return [found for found in named if found]


@pytest.mark.parametrize("window", [50, 200, 1000])
def test_nothing_is_named_where_nothing_changed(window: int) -> None:
    assert len(false_names(window)) <= 0.02 * TRIALS


@pytest.mark.parametrize("window", [200, 1000])
@pytest.mark.parametrize(
    "change",
    [{"moved": 0.5}, {"moved": 1}, {"wider": 1.5}, {"levels": True}, {"moved": 1, "levels": True}],
    ids=str,
)
def test_another_population_is_no_bug(change: dict[str, Any], window: int) -> None:
    assert len(false_names(window, **change)) <= 0.02 * TRIALS


def one(
    before: Column,
    now: Column,
    kind: Kind = "number",
    *,
    entities: int | None = None,
    usual: tuple[float, float] | None = None,
) -> Signature | None:
    """What is found in a single feature."""
    profile = build_reference({"x": before}, {"x": kind}, np.zeros(len(before)), len(before))
    schema = Schema((Feature("x", kind, "", optional=True, soft_range=usual),))
    found = find(profile, schema, {"x": now}, entities=entities or len(now))
    return found[0] if found else None


def kind_of(signature: Signature | None) -> str:
    return "population" if signature is None else signature.kind


def zeros(share: float, rows: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < share, 0, rng.gamma(2, 1, rows))


def test_a_constant_that_became_another_sticks() -> None:
    signature = one(np.full(500, 3.14), np.full(200, 2.71))
    assert signature is not None
    assert (signature.kind, signature.detail) == ("stuck", {"value": 2.71})
    assert (signature.share, signature.share_before) == (1, 0)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [(0.9, 0.7, "population"), (0.2, 0.9, "stuck"), (0.9, 0.9, "population")],
)
def test_zeros_stick_only_where_they_became_many(before: float, now: float, kind: str) -> None:
    assert kind_of(one(zeros(before, 2000, 1), zeros(now, 500, 2))) == kind


def test_a_ceiling_that_more_people_reach_does_not_stick() -> None:
    rng = np.random.default_rng(1)
    before, now = (np.clip(rng.normal(mean, 1.8, 2000), 0, 10).round(1) for mean in (8.3, 11.0))
    assert np.mean(now == 10) > 0.7
    assert one(before, now, usual=(0, 10)) is None


def test_nulls_that_always_had_a_reason_may_become_more() -> None:
    rng = np.random.default_rng(1)
    before, now = (
        np.where(rng.random(2000) < share, np.nan, 1.0 * rng.random(2000)) for share in (0.67, 0.86)
    )
    assert one(before, now) is None
    assert kind_of(one(before, np.full(200, np.nan))) == "nulls"


def test_nulls_from_5_to_30_percent_are_named_with_both_shares() -> None:
    rng = np.random.default_rng(1)
    before, now = (np.where(np.arange(1000) < rows, np.nan, rng.random(1000)) for rows in (50, 300))
    signature = one(before, now)
    assert signature is not None
    assert (signature.kind, signature.share, signature.share_before) == ("nulls", 0.3, 0.05)
    independent = fisher_exact(np.array([[300, 700], [50, 950]]), alternative="greater").pvalue
    assert signature.p == pytest.approx(independent)


def test_p_counts_entities_and_not_their_rows() -> None:
    rng = np.random.default_rng(1)
    before, now = rng.random(1000), np.where(np.arange(1000) < 400, np.nan, rng.random(1000))
    by_row, by_entity = one(before, now), one(before, now, entities=50)
    assert by_row is not None
    assert by_entity is not None
    independent = fisher_exact(np.array([[20, 30], [0, 1000]]), alternative="greater").pvalue
    assert by_entity.p == pytest.approx(independent)
    assert by_row.p < by_entity.p
    assert one(before, now, entities=3) is None


def test_a_column_that_is_absent_is_all_null() -> None:
    columns = people(np.random.default_rng(1), 200)
    del columns["gamma"]
    (signature,) = find(reference(500, 0), SCHEMA, columns, entities=200)
    assert (signature.feature, signature.kind, signature.share) == ("gamma", "nulls", 1)
    assert signature.mask(columns).all()


def test_a_percentage_sent_as_a_share_is_a_factor_after_rounding_too() -> None:
    rng = np.random.default_rng(1)
    before, now = (np.clip(rng.normal(6, 2, 1000), 0, 10).round(1) for _ in range(2))
    for decimals in (1, 2, 6):
        signature = one(before, (now / 10).round(decimals))
        assert signature is not None
        assert (signature.kind, signature.detail) == ("factor", {"factor": 0.1})
        assert signature.share > 0.95


def test_a_value_that_sticks_out_of_range_sticks() -> None:
    rng = np.random.default_rng(1)
    now = np.where(rng.random(500) < 0.5, -999, rng.random(500))
    assert kind_of(one(rng.random(500), now)) == "stuck"
    assert kind_of(one(rng.random(500), now - rng.random(500))) == "range"


def test_the_range_is_the_declared_one_with_what_the_reference_had() -> None:
    rng = np.random.default_rng(1)
    signature = one(np.r_[rng.uniform(0, 10, 999), -0.5], rng.uniform(5, 20, 500), usual=(0, 12))
    assert signature is not None
    assert (signature.kind, signature.detail) == ("range", {"low": -0.5, "high": 12.0})


SCHOOLS = ["Publica"] * 400 + ["Privada"] * 100


def test_unseen_levels_are_listed_by_frequency_but_no_person() -> None:
    now = ["PUBLICA"] * 50 + ["ana@example.org"] * 40 + [f"L{i}" for i in range(9)] * 5 + ["L8"]
    signature = one(SCHOOLS, np.array(now, dtype=object), "category")
    assert signature is not None
    assert signature.detail == {"levels": ["PUBLICA", "L8", "L0", "L1", "L2"]}


@pytest.mark.parametrize(("again", "shown"), [(4, []), (5, ["Ana Souza"])])
def test_unseen_levels_of_fewer_than_five_rows_are_not_listed(again: int, shown: list[str]) -> None:
    """A column of names: each is unseen, and nothing but its rarity tells that it is a name."""
    now = [f"Maria {n}" for n in range(100)] + ["Ana Souza"] * again
    signature = one(SCHOOLS, np.array(now, dtype=object), "category")
    assert signature is not None
    assert (signature.kind, signature.share) == ("unseen", 1)
    assert signature.detail == {"levels": shown}


def test_many_rows_of_one_entity_do_not_make_its_name_a_level() -> None:
    now = np.array([f"Maria {n}" for n in range(50)] * 10, dtype=object)
    signature = one(SCHOOLS, now, "category", entities=50)
    assert signature is not None
    assert signature.detail == {"levels": []}


def test_new_levels_of_few_rows_are_no_bug() -> None:
    now = np.array(["A"] * 95 + ["B"] * 95 + ["NEW"] * 10, dtype=object)
    assert one(["A", "B"] * 250, now, "category") is None


def test_codes_and_texts_are_told_alike() -> None:
    levels = ("Publica", "PUBLICA", "Privada")
    codes = np.array([1, 1, 2, -1] * 50, dtype=np.int32)
    coded = Coded(codes, levels)
    before = ["Publica", "Privada"] * 250
    by_code, by_text = one(before, coded, "category"), one(before, coded.texts(), "category")
    assert by_code is not None
    assert by_code == by_text
    assert by_code.mask({"x": coded}).tolist() == (codes == 1).tolist()
    assert by_code.mask({"x": coded.texts()}).tolist() == (codes == 1).tolist()


def test_two_categories_that_were_swapped_are_both_named() -> None:
    columns = people(np.random.default_rng(1), 200)
    columns["school"], columns["sex"] = columns["sex"], columns["school"]
    found = find(reference(500, 0), SCHEMA, columns, entities=200)
    assert [(s.feature, s.kind, s.detail) for s in found] == [
        ("school", "swapped", {"with": "sex"}),
        ("sex", "swapped", {"with": "school"}),
    ]


def masked() -> Iterator[Any]:
    """A bug in the first half of 400 rows."""
    columns, half = people(np.random.default_rng(1), 400), np.arange(400) < 200
    for name in ("weight", "pressure", "inde"):
        values: Any = columns[name]
        bugs = {"x 10": values * 10, "null": np.nan, "stuck": 7.25, "range": -values}
        for bug, bad in bugs.items():
            yield pytest.param(name, np.where(half, bad, values), half, id=f"{name} {bug}")
    yield pytest.param("sex", np.where(half, "F.", columns["sex"]), half, id="sex unseen")


@pytest.mark.parametrize(("name", "values", "half"), [*masked()])
def test_the_mask_shows_the_rows_that_were_damaged(
    name: str, values: NDArray[Any], half: NDArray[np.bool_]
) -> None:
    columns = people(np.random.default_rng(1), 400) | {name: values}
    (signature,) = find(reference(10_000, 0), SCHEMA, columns, entities=400)
    shown = signature.mask(columns)
    assert np.mean(shown != half) <= 0.01
    assert signature.share == shown.mean()
    later = people(np.random.default_rng(2), 1000)
    assert signature.mask(later).mean() <= 0.01


def test_a_version_without_shapes_still_tells_nulls_and_unseen_levels() -> None:
    document = reference(500, 0).to_dict()
    for feature in document["features"]:
        feature.pop("shape")
    old = ReferenceProfile.from_dict(document)
    columns = people(np.random.default_rng(1), 200)
    columns["gamma"] = columns["gamma"] * 100
    columns["inde"] = np.full(200, np.nan)
    assert [s.kind for s in find(old, SCHEMA, columns, entities=200)] == ["nulls"]


def test_no_rows_show_nothing_and_impossible_entities_are_refused() -> None:
    assert find(reference(500, 0), SCHEMA, {}, entities=0) == ()
    columns = people(np.random.default_rng(1), 20)
    with pytest.raises(ValueError, match="21 entities cannot make 20 rows"):
        find(reference(500, 0), SCHEMA, columns, entities=21)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300])
def test_any_constant_column_is_survived(value: float) -> None:
    numbers = dict.fromkeys(NUMBERS, np.full(100, value))
    columns = numbers | {"sex": np.array([None] * 100)}
    find(reference(500, 0), SCHEMA, columns, entities=100)
    profile = build_reference(numbers, dict.fromkeys(NUMBERS, "number"), [0.5] * 100, 100)
    assert find(profile, SCHEMA, columns, entities=100) == ()
