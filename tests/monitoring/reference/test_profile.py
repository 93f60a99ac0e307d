import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitoring.reference.bins import Column, Kind, NumericBins
from monitoring.reference.profile import FeatureProfile, ReferenceProfile
from monitoring.reference.profiling import build_reference

NAN = float("nan")


def profile(values: Column, kind: Kind = "number") -> FeatureProfile:
    scores = np.linspace(0, 1, len(values))
    return build_reference({"x": values}, {"x": kind}, scores, len(values)).features[0]


def held(feature: FeatureProfile, values: Column) -> dict[str, int]:
    """The bins that hold something."""
    counts = feature.count(values).tolist()
    return {label: rows for label, rows in zip(feature.labels(), counts, strict=True) if rows}


def normal(rows: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=rows)


def test_continuous_values_are_cut_into_ten_bins_of_equal_mass() -> None:
    feature = profile(np.arange(1000.0))
    assert feature.counts == (*[100] * 10, 0)
    assert feature.labels()[:2] == ("< 100", "[100, 200)")
    assert feature.labels()[-2:] == (">= 900", "NULL")


def test_half_open_intervals_put_an_edge_into_the_bin_above() -> None:
    feature = profile(np.arange(1000.0))
    assert held(feature, [99.99, 100.0]) == {"< 100": 1, "[100, 200)": 1}


def test_a_value_with_a_bins_worth_of_mass_has_its_own_bin() -> None:
    feature = profile(np.r_[np.zeros(500), np.arange(1.0, 501.0)])
    # Half the mass is left over: five bins of a tenth each.
    assert feature.counts == (*[100] * 5, 500, 0)
    assert feature.labels()[-2:] == ("= 0", "NULL")


def test_small_integers_share_bins_of_about_equal_mass() -> None:
    ages = np.repeat(np.arange(20), 50)
    feature = profile(ages, "integer")
    assert feature.counts == (*[100] * 10, 0)
    assert feature.labels()[1] == "[2, 4)"


def test_a_constant_is_one_atom_and_anything_else_is_seen() -> None:
    feature = profile(np.full(100, 3.14))
    assert feature.labels() == ("other values", "= 3.14", "NULL")
    assert feature.counts == (0, 100, 0)
    assert held(feature, [2.71, 3.14, np.inf]) == {"other values": 2, "= 3.14": 1}


def test_all_null_has_a_bin_for_any_value() -> None:
    feature = profile(np.full(100, NAN))
    assert feature.labels() == ("any value", "NULL")
    assert held(feature, [1.0, NAN]) == {"any value": 1, "NULL": 1}
    assert feature.null_share == 1
    assert profile([None] * 100, "category").labels() == ("RARE", "UNSEEN", "NULL")


def test_null_is_counted_beside_the_values() -> None:
    feature = profile(np.r_[np.full(20, NAN), np.arange(80.0)])
    assert feature.counts == (*[8] * 10, 20)
    assert feature.null_share == 0.2


def test_one_outlier_does_not_move_the_bins() -> None:
    values = normal(1000)
    with_outlier = np.r_[values[:-1], 1e9]
    outer, same = profile(with_outlier), profile(values)
    assert len(outer.counts) == len(same.counts)
    assert np.abs(np.subtract(outer.count(values), same.count(values))).max() <= 1


def test_infinities_land_in_the_outer_bins() -> None:
    feature = profile(np.arange(1000.0))
    assert held(feature, [-np.inf, np.inf, -1e300, 1e300]) == {"< 100": 2, ">= 900": 2}


def test_infinite_reference_values_survive_strict_json() -> None:
    values = np.r_[np.arange(80.0), np.full(20, np.inf)]
    reference = build_reference({"x": values}, {"x": "number"}, values, 100)
    text = json.dumps(reference.to_dict(), allow_nan=False)
    feature = ReferenceProfile.from_dict(json.loads(text)).features[0]
    assert feature.count([np.inf])[-2] == 1
    assert feature.counts[-2] == 20


def test_negative_zero_is_zero() -> None:
    feature = profile(np.full(100, -0.0))
    assert feature.labels() == ("other values", "= 0", "NULL")
    assert held(feature, [0.0, -0.0]) == {"= 0": 2}


@pytest.mark.parametrize(("before", "now"), [(np.float32, np.float64), (np.float64, np.float32)])
@pytest.mark.parametrize("value", [0.1, 7.3, 1e-5])
def test_single_and_double_precision_copies_fall_alike(
    before: type, now: type, value: float
) -> None:
    feature = profile(np.full(100, value, dtype=before))
    assert feature.count(np.full(10, value, dtype=now)).tolist() == [0, 10, 0]


def test_single_and_double_precision_edges_fall_alike() -> None:
    marks = np.arange(100) / 10
    assert profile(marks).counts == tuple(profile(marks).count(marks.astype(np.float32)))
    assert profile(marks.astype(np.float32)).counts == tuple(profile(marks).count(marks))


def test_integers_are_compared_exactly() -> None:
    stamp = 1_700_000_000
    feature = profile(np.full(100, stamp), "integer")
    assert feature.labels() == ("other values", "= 1700000000", "NULL")
    assert feature.count(np.array([stamp, stamp + 1])).tolist() == [1, 1, 0]


def test_labels_have_the_digits_that_keep_bins_apart() -> None:
    whole = profile(1_700_000_000 + np.arange(100), "integer")
    assert whole.labels()[:2] == ("< 1700000010", "[1700000010, 1700000020)")
    fine = profile(1000.5 + np.arange(100) / 1024)
    assert len(set(fine.labels())) == 11


def test_too_few_values_earn_no_bins() -> None:
    feature = profile(np.r_[np.full(991, NAN), np.arange(9.0)])
    assert feature.labels() == ("any value", "NULL")


def test_levels_are_top_rare_unseen_or_null() -> None:
    feature = profile(["A"] * 600 + ["B"] * 385 + ["C"] * 5 + [None] * 10, "category")
    assert feature.labels() == ("level A", "level B", "RARE", "UNSEEN", "NULL")
    assert feature.counts == (600, 385, 5, 0, 10)
    assert held(feature, ["B", "C", "D", None, None]) == {
        "level B": 1, "RARE": 1, "UNSEEN": 1, "NULL": 2
    }  # fmt: skip


def test_levels_named_like_a_bin_are_kept_apart() -> None:
    feature = profile(["RARE"] * 50 + ["NULL"] * 50, "category")
    assert held(feature, ["RARE", "NULL", "UNSEEN", None]) == {
        "level NULL": 1, "level RARE": 1, "UNSEEN": 1, "NULL": 1
    }  # fmt: skip


def test_at_most_twenty_levels_have_a_bin() -> None:
    feature = profile([f"L{i:02}" for i in range(21)] * 100, "category")
    assert feature.labels()[19:] == ("level L19", "RARE", "UNSEEN", "NULL")
    assert feature.counts[20:] == (100, 0, 0)


def test_many_rare_levels_are_grouped_by_name_into_bins_of_a_tenth() -> None:
    feature = profile([f"L{i:03}" for i in range(500)] * 20, "category")
    assert feature.labels()[:2] == ("RARE L000 to L049", "RARE L050 to L099")
    assert feature.counts == (*[1000] * 10, 0, 0)
    assert held(feature, ["L499", "L500"]) == {"RARE L450 to L499": 1, "UNSEEN": 1}


def test_levels_met_once_foretell_how_often_a_new_row_is_unseen() -> None:
    generator = np.random.default_rng(4)
    before, now = ([f"L{i}" for i in generator.integers(0, 500, 1000)] for _ in range(2))
    feature = profile(before, "category")
    unseen = sum(level not in set(before) for level in now)
    # About 500 exp(-2) = 68 levels stay out of 1,000 rows, and 135 of 1,000 new rows have one.
    assert held(feature, now)["UNSEEN"] == unseen
    assert feature.counts[-2] == pytest.approx(135, abs=35)
    assert unseen == pytest.approx(135, abs=35)


def test_a_shape_keeps_the_references_own_values_and_how_many_are_whole() -> None:
    shape = profile(np.r_[np.arange(120) * 0.5, np.full(50, NAN)]).shape
    assert shape is not None
    # The least value with at least so many hundredths of the 120 values up to it.
    ranks = [max(-(-hundredth * 120 // 100), 1) for hundredth in range(101)]
    assert shape.quantiles == tuple((rank - 1) * 0.5 for rank in ranks)
    assert shape.whole_share == 0.5


def test_single_and_double_precision_copies_have_one_shape() -> None:
    values = normal(500).round(1)
    assert profile(values).shape == profile(values.astype(np.float32)).shape


def test_large_numbers_with_decimals_are_not_whole() -> None:
    shape = profile(20_000_000.5 + np.arange(100)).shape
    assert shape is not None
    assert shape.whole_share == 0


def test_only_a_number_with_values_has_a_shape() -> None:
    assert profile(np.full(100, NAN)).shape is None
    assert profile(["A"] * 100, "category").shape is None


def test_a_profile_from_before_shapes_is_read() -> None:
    reference = build_reference({"x": normal(100)}, {"x": "number"}, normal(100), 100)
    document = json.loads(json.dumps(reference.to_dict()))
    del document["features"][0]["shape"]
    old = ReferenceProfile.from_dict(document)
    assert old.features[0].shape is None
    assert old.features[0].bins == reference.features[0].bins


numbers = st.lists(
    st.sampled_from([0.0, -0.0, 0.5, NAN, np.inf, -np.inf]) | st.floats(width=32), max_size=40
)
levels = st.lists(st.sampled_from(["A", "B", "C", "D", "", None]), max_size=40)


@given(numbers, st.integers(0, 40))
def test_counts_of_numbers_add_up(values: list[float], cut: int) -> None:
    feature = profile(np.r_[np.zeros(30), normal(70)])
    halves = feature.count(values[:cut]) + feature.count(values[cut:])
    assert halves.tolist() == feature.count(values).tolist()
    assert halves.sum() == len(values)


@given(levels, st.integers(0, 40))
def test_counts_of_levels_add_up(values: list[str | None], cut: int) -> None:
    feature = profile(["A"] * 50 + ["B"] * 40 + ["C"] * 2 + [None] * 8, "category")
    halves = feature.count(values[:cut]) + feature.count(values[cut:])
    assert halves.tolist() == feature.count(values).tolist()
    assert halves.sum() == len(values)


@given(st.lists(st.floats(), min_size=1, max_size=60), st.data())
def test_any_reference_counts_itself_and_survives_json(
    values: list[float], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.none() | st.text(), min_size=len(values), max_size=len(values)))
    reference = build_reference(
        {"x": values, "y": names}, {"x": "number", "y": "category"}, values, 1
    )
    text = json.dumps(reference.to_dict(), allow_nan=False)
    assert ReferenceProfile.from_dict(json.loads(text)) == reference
    assert reference.features[0].counts == tuple(reference.features[0].count(values))


def damaged(*path: str | int, value: Any) -> dict[str, Any]:
    columns: dict[str, Column] = {"x": normal(100), "y": ["A"] * 100}
    kinds: dict[str, Kind] = {"x": "number", "y": "category"}
    reference = build_reference(columns, kinds, normal(100), 100)
    document: dict[str, Any] = json.loads(json.dumps(reference.to_dict()))
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        damaged("rows", value="100"),
        damaged("rows", value=99),
        damaged("entities", value=0),
        damaged("entities", value=101),
        damaged("features", value=None),
        damaged("features", 1, "name", value="x"),
        damaged("features", 0, "counts", value=[100]),
        damaged("features", 0, "counts", 0, value=-1),
        damaged("features", 0, "counts", 0, value=10.0),
        damaged("features", 0, "bins", "kind", value="date"),
        damaged("features", 0, "bins", "edges", 0, value=1e6),
        damaged("features", 0, "bins", "edges", 0, value=NAN),
        damaged("features", 0, "bins", "edges", 0, value=True),
        damaged("features", 0, "shape", value={"quantiles": [0.0]}),
        damaged("features", 0, "shape", value={"quantiles": [0.0] * 100, "whole_share": 1.0}),
        damaged("features", 0, "shape", "quantiles", 50, value=NAN),
        damaged("features", 0, "shape", "quantiles", 50, value=1e6),
        damaged("features", 0, "shape", "quantiles", 50, value="0"),
        damaged("features", 0, "shape", "whole_share", value=1.5),
        damaged("features", 0, "shape", "whole_share", value=None),
        damaged("features", 1, "shape", value={"quantiles": [0.0] * 101, "whole_share": 1.0}),
        damaged("features", 1, "bins", "rare", value=[["A"]]),
        damaged("features", 1, "bins", "rare", value=[]),
        damaged("features", 1, "bins", "top", 0, value=1),
        damaged("score", value={"name": "score"}),
    ],
    ids=str,
)
def test_a_malformed_profile_is_refused_in_one_line(document: Any) -> None:
    with pytest.raises(ValueError, match=r"^reference profile: .+") as caught:
        ReferenceProfile.from_dict(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "rows", "entities"),
    [({}, 10, 10), ({"x": [1.0]}, 10, 10), ({"x": [1.0] * 10}, 10, 11), ({"x": []}, 0, 0)],
    ids=["missing column", "short column", "too many entities", "no rows"],
)
def test_an_impossible_reference_is_refused(
    columns: dict[str, Column], rows: int, entities: int
) -> None:
    with pytest.raises(ValueError, match=r"differ|values for|entities|needs rows"):
        build_reference(columns, {"x": "number"}, [0.5] * rows, entities)


def test_labels_of_intervals_and_atoms() -> None:
    assert NumericBins("number", (1.0, 2.5), (0.0,)).labels() == (
        "< 1", "[1, 2.5)", ">= 2.5", "= 0", "NULL"
    )  # fmt: skip
