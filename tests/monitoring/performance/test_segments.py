"""Segments against scipy, by hand, and in simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, fisher_exact

from monitoring.performance.segments import Segment, compare
from monitoring.reference.bins import Coded

Mask = NDArray[np.bool_]


def fisher(*table: list[int]) -> float:
    return float(fisher_exact(np.array(table), alternative="less").pvalue)


def coded(*values: str | None) -> Coded:
    levels = tuple(sorted({value for value in values if value is not None}))
    codes = [-1 if value is None else levels.index(value) for value in values]
    return Coded(np.array(codes, dtype=np.int32), levels)


def run(
    columns: dict[str, Coded],
    positive: Mask,
    flagged: Mask,
    entities: NDArray[np.intp] | None = None,
) -> dict[tuple[str, str | None], Segment]:
    owners = np.arange(len(positive)) if entities is None else entities
    found = compare(columns, positive, flagged, owners)
    return {(segment.feature, segment.level): segment for segment in found}


def test_recall_of_each_level_by_hand() -> None:
    # 40 positives F with 10 caught, 60 M with 54 caught, 20 of no gender with 18 caught; as many
    # negatives, all flagged, must not matter.
    genders = coded(*["F"] * 40, *["M"] * 60, *[None] * 20)
    caught = np.concatenate([np.arange(40) < 10, np.arange(60) < 54, np.arange(20) < 18])
    both = Coded(np.tile(genders.codes, 2), genders.levels)
    positive = np.repeat([True, False], 120)
    found = run({"gender": both}, positive, np.concatenate([caught, np.ones(120, dtype=bool)]))
    assert {level: (s.rows, s.positives) for (_, level), s in found.items()} == {
        "F": (80, 40), "M": (120, 60), None: (40, 20),
    }  # fmt: skip
    female = found["gender", "F"]
    assert female.to_dict()["recall"]["value"] == 0.25
    assert female.to_dict()["rest_recall"] == pytest.approx(72 / 80)
    assert female.p == pytest.approx(fisher([10, 30], [72, 8]))
    tables = [([10, 30], [72, 8]), ([54, 6], [28, 32]), ([18, 2], [64, 36])]
    q_values = false_discovery_control([fisher(*table) for table in tables])
    levels = ("F", "M", None)
    assert [found["gender", level].q for level in levels] == pytest.approx(list(q_values))
    assert [found["gender", level].worse for level in levels] == [True, False, False]


def test_a_proven_difference_too_small_to_act_on_is_not_worse() -> None:
    side = coded(*["a", "b"] * 50_000)
    caught = np.random.default_rng(0).random(100_000) < np.tile([0.70, 0.74], 50_000)
    segment = run({"side": side}, np.ones(100_000, dtype=bool), caught)["side", "a"]
    assert segment.q < 1e-6
    assert not segment.worse


def test_levels_with_too_few_positives_are_left_out() -> None:
    level = coded(*["a"] * 9, *["b"] * 50, *["c"] * 50)
    positive = np.ones(109, dtype=bool)
    assert {name for _, name in run({"x": level}, positive, positive)} == {"b", "c"}
    alone = coded(*["a"] * 109)
    assert run({"x": alone}, positive, positive) == {}
    assert run({}, positive, positive) == {}
    assert run({"x": level}, ~positive, positive) == {}


def test_copies_of_rows_prove_nothing_more() -> None:
    side = coded(*["a"] * 40, *["b"] * 40)
    caught = np.concatenate([np.arange(40) < 26, np.arange(40) < 34])
    positive = np.ones(80, dtype=bool)
    single = run({"side": side}, positive, caught)["side", "a"]
    copies = run(
        {"side": Coded(np.repeat(side.codes, 20), side.levels)},
        np.repeat(positive, 20),
        np.repeat(caught, 20),
        np.repeat(np.arange(80), 20),
    )["side", "a"]
    naive = run(
        {"side": Coded(np.repeat(side.codes, 20), side.levels)},
        np.repeat(positive, 20),
        np.repeat(caught, 20),
    )["side", "a"]
    assert not single.worse
    assert copies.p == pytest.approx(single.p, rel=1e-6)
    assert naive.worse


@pytest.mark.parametrize("rows_an_entity", [1, 10])
def test_false_alarms_and_detection(rows_an_entity: int) -> None:
    """300 windows each: 200 entities, three features of 2, 4 and 10 levels; then one level that
    loses a third of its recall."""
    rng = np.random.default_rng(5)
    alarms = detected = 0
    for _ in range(300):
        owners = np.repeat(np.arange(200), rows_an_entity)
        columns = {
            str(levels): Coded(
                rng.integers(0, levels, 200).astype(np.int32)[owners], tuple("abcdefghij"[:levels])
            )
            for levels in (2, 4, 10)
        }
        everyone = np.ones(len(owners), dtype=bool)
        luck = rng.random(200)[owners]
        same = compare(columns, everyone, luck < 0.75, owners)
        alarms += any(segment.worse for segment in same)
        hit = np.where(columns["4"].codes == 0, 0.4, 0.8)
        found = run(columns, everyone, luck < hit, owners)
        detected += found["4", "a"].worse
    assert alarms <= 15
    assert detected >= 270
