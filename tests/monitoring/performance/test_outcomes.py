"""One row a prediction, and the label that belongs to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.labels.store import PeriodRule
from monitoring.log.reading import Batch, RowIds
from monitoring.performance.outcomes import CONFLICT, UNKNOWN, Joined, KnownLabels, join
from monitoring.reference.bins import Coded

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def key(number: int) -> str:
    return f"{number + 1:032x}"


def batch(
    ids: list[str],
    *,
    entities: Sequence[int | None] | None = None,
    periods: Sequence[int | None] | None = None,
    request: str = "one-request",
    times: list[datetime] | None = None,
    school: Coded | None = None,
) -> Batch:
    """Rows of one request; an entity is a number."""
    who = entities or [None] * len(ids)
    moments = times or [NOON] * len(ids)
    return Batch(
        times=np.array([micros(moment) for moment in moments], dtype=np.int64),
        scores=np.linspace(0.1, 0.9, len(ids)),
        flags=np.linspace(0.1, 0.9, len(ids)) >= 0.5,
        entities=np.array([0 if one is None else one + 1 for one in who], dtype=np.uint64),
        columns={} if school is None else {"school": school},
        ids=RowIds(
            ids,
            [request] * len(ids),
            [None if one is None else key(one) for one in who],
            list(periods or [None] * len(ids)),
        ),
    )


def label(
    prediction: str | None = None,
    *,
    entity: int | None = None,
    period: int | None = None,
    value: int | None = 1,
    **changes: Any,
) -> dict[str, Any]:
    """A row of `LabelStore.current`."""
    return {
        "prediction_id": prediction,
        "entity": None if entity is None else key(entity),
        "period": period,
        "label": value,
        "observed_at": LATER,
        "imported_at": LATER,
        "revisions": 0,
        "conflict": value is None,
    } | changes


def joined(batches: list[Batch], *labels: dict[str, Any], rule: PeriodRule = "year") -> Joined:
    frame = pd.DataFrame(list(labels) or [label("none")][:0], columns=list(label("none")))
    frame = frame.astype({"period": "Int64", "label": "Int8", "revisions": "int64"})
    frame["observed_at"] = pd.to_datetime(frame["observed_at"], utc=True)
    frame["conflict"] = frame["conflict"].astype(bool)
    return join(batches, KnownLabels.of(frame), rule)


def test_a_label_finds_its_prediction_and_no_other_of_the_request() -> None:
    found = joined([batch(["a", "b", "c"])], label("b", value=1), label("c", value=0))
    assert found.outcomes.labels.tolist() == [UNKNOWN, 1, 0]
    assert found.outcomes.labelled.tolist() == [False, True, True]
    assert found.outcomes.observed.tolist() == [0, micros(LATER), micros(LATER)]
    assert found.met.tolist() == [True, True]


def test_n_rows_of_a_request_stay_n_rows() -> None:
    ids = [f"p{number}" for number in range(765)]
    found = joined([batch(ids[:400]), batch(ids[400:])], *(label(one) for one in ids))
    assert len(found.outcomes) == 765
    assert found.outcomes.labelled.all()


def test_a_label_by_entity_and_period_finds_each_row_of_theirs() -> None:
    rows = batch(["a", "b", "c", "d"], entities=[7, 7, 7, 8], periods=[2025, 2026, 2026, 2026])
    found = joined([rows], label(entity=7, period=2026, value=1))
    assert found.outcomes.labels.tolist() == [UNKNOWN, 1, 1, UNKNOWN]


@pytest.mark.parametrize(("rule", "period"), [("year", 2026), ("month", 202603), ("day", 20260301)])
def test_a_row_without_a_period_has_the_one_of_its_day(rule: PeriodRule, period: int) -> None:
    found = joined([batch(["a"], entities=[1])], label(entity=1, period=period), rule=rule)
    assert found.outcomes.labels.tolist() == [1]


def test_a_row_without_an_entity_is_found_by_its_id_only() -> None:
    found = joined([batch(["a"], periods=[2026])], label(entity=0, period=2026))
    assert found.outcomes.labels.tolist() == [UNKNOWN]
    assert found.met.tolist() == [False]


def test_the_id_counts_before_the_entity_and_a_contradiction_is_told() -> None:
    rows = batch(["a", "b"], entities=[1, 2])
    labels = [
        label("a", value=0), label(entity=1, period=2026, value=1),
        label("b", value=1), label(entity=2, period=2026, value=1),
    ]  # fmt: skip
    found = joined([rows], *labels)
    assert found.outcomes.labels.tolist() == [0, 1]
    assert found.outcomes.contradicted.tolist() == [True, False]
    assert found.met.all()


def test_a_contested_label_is_none() -> None:
    labels = [label("a", value=None), label("b", value=1, conflict=True), label("c", revisions=2)]
    found = joined([batch(["a", "b", "c"])], *labels).outcomes
    assert found.labels.tolist() == [CONFLICT, CONFLICT, 1]
    assert found.labelled.tolist() == [False, False, True]
    assert found.revised.tolist() == [False, False, True]


def test_orphans_met_nothing() -> None:
    found = joined([batch(["a"])], label("a"), label("gone"), label(entity=3, period=2026))
    assert found.met.tolist() == [True, False, False]


def test_rows_without_an_entity_are_their_own() -> None:
    rows = [batch(["a", "b", "c"], entities=[5, None, 5]), batch(["d", "e"], entities=[None, 5])]
    codes = joined(rows).outcomes.entities.tolist()
    assert codes[0] == codes[2] == codes[4]
    assert len(set(codes)) == 3
    assert max(codes) < 10


def test_codes_of_two_batches_mean_the_same_levels() -> None:
    one = Coded(np.array([0, 1, -1], dtype=np.int32), ("public", "private"))
    other = Coded(np.array([1, 0, 2], dtype=np.int32), ("private", "public", "new"))
    rows = [batch(["a", "b", "c"], school=one), batch(["d", "e", "f"], school=other)]
    column = joined(rows).outcomes.columns["school"]
    assert column.texts().tolist() == ["public", "private", None, "public", "private", "new"]


def test_nothing_logged_and_nothing_known() -> None:
    assert len(joined([]).outcomes) == 0
    assert joined([], label("a")).met.tolist() == [False]
    assert joined([batch(["a"])]).outcomes.labels.tolist() == [UNKNOWN]


def test_a_mask_takes_every_column() -> None:
    school = Coded(np.array([0, 1, 0], dtype=np.int32), ("x", "y"))
    rows = batch(["a", "b", "c"], school=school, times=[NOON, LATER, NOON + timedelta(days=1)])
    part = joined([rows], label("c", value=0)).outcomes.take(np.array([False, True, True]))
    assert part.times.tolist() == [micros(LATER), micros(NOON + timedelta(days=1))]
    assert part.labels.tolist() == [UNKNOWN, 0]
    assert part.columns["school"].texts().tolist() == ["y", "x"]


@given(st.data())
def test_the_join_is_a_left_join_of_pandas(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    ids = [f"p{number}" for number in range(count)]
    entities = data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    periods = data.draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    by_id = data.draw(st.dictionaries(st.sampled_from([*ids, "x"]), st.integers(0, 1)))
    pairs = st.tuples(st.integers(0, 6), st.integers(1, 3))
    by_pair = data.draw(st.dictionaries(pairs, st.integers(0, 1)))
    labels = [label(one, value=value) for one, value in by_id.items()]
    labels += [label(entity=e, period=p, value=value) for (e, p), value in by_pair.items()]
    rows = pd.DataFrame({"id": ids, "entity": entities, "period": periods})
    merged = rows.merge(
        pd.Series(by_id, name="one", dtype=float), "left", left_on="id", right_index=True
    )
    other = [by_pair.get(pair, np.nan) for pair in zip(entities, periods, strict=True)]
    expected = merged["one"].fillna(pd.Series(other)).fillna(UNKNOWN).astype(int).tolist()
    cut = data.draw(st.integers(0, count))
    parts = [
        batch(ids[part], entities=entities[part], periods=periods[part])
        for part in (slice(0, cut), slice(cut, None))
    ]
    assert joined(parts, *labels).outcomes.labels.tolist() == expected
