"""Which label counts, whatever order labels come in; and the period of a time."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitoring.labels.merge import Fresh, judge
from monitoring.labels.store import Entry, Key, LabelStore, PeriodRule, period_of
from registry.errors import IntegrityError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PREDICTION, PUPIL = Key("p-1", None, None), Key(None, "0" * 31 + "a", 2025)
KEYS = (PREDICTION, PUPIL, Key(None, "0" * 31 + "a", 2026))
DAY = 86_400_000_000
FILES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.integers(0, 1), st.integers(0, 5)),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=5,
)


def fresh(told: Iterable[tuple[Key, int, int]]) -> list[Fresh]:
    """Rows of a file, from key, label and day."""
    return [Fresh(row, key, label, day * DAY) for row, (key, label, day) in enumerate(told, 2)]


def imported(store: LabelStore, rows: list[Fresh], source: str, now: datetime) -> list[Any]:
    judged = judge(rows, store.known(row.key for row in rows), source)
    news = [one.entry for one in judged if one.entry is not None]
    if news:
        store.add(news, now)
    return [one.verdict for one in judged]


def in_force(files: list[list[tuple[Key, int, int]]]) -> dict[Key, tuple[int | None, bool]]:
    """By hand, import by import: each key's label, and whether a contradiction is as new as it."""
    label: dict[Key, tuple[int, int]] = {}
    against: dict[Key, int] = {}
    for file in files:
        for day in range(6):
            for key in KEYS:
                said = {one for k, one, d in file if (k, d) == (key, day)}
                if len(said) > 1:
                    against[key] = max(against.get(key, -1), day)
                elif said:
                    old_label, old_day = label.get(key, (-1, -1))
                    if day >= old_day and said != {old_label}:
                        label[key] = (said.pop(), day)
    found: dict[Key, tuple[int | None, bool]] = {}
    for key in {*label, *against}:
        one, day = label.get(key, (None, -1))
        found[key] = (one, against.get(key, -2) >= day)
    return found


def key_of(row: Any) -> Key:
    return Key(*(None if pd.isna(one) else one for one in row[:3]))


def as_told(current: pd.DataFrame) -> dict[Key, tuple[int | None, bool]]:
    rows: list[Any] = list(current.itertuples(index=False))
    return {
        key_of(row): (None if pd.isna(row.label) else int(row.label), bool(row.conflict))
        for row in rows
    }


@settings(max_examples=25)
@example([[(PUPIL, 0, 2)], [(PUPIL, 0, 0), (PUPIL, 1, 1)]])
@given(FILES)
def test_the_label_observed_last_counts_and_the_same_file_again_is_no_news(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[Key, int, int]]]
) -> None:
    store = LabelStore(tmp_path_factory.mktemp("labels"))
    for number, file in enumerate(files):
        now = datetime(2026, 1, 1, second=number, tzinfo=UTC)
        assert len(imported(store, fresh(file), f"s{number}", now)) == len(file)
    assert as_told(store.current()) == in_force(files)
    before = store.history()
    imported(store, fresh(files[-1]), f"s{len(files) - 1}", datetime(2026, 1, 2, tzinfo=UTC))
    pd.testing.assert_frame_equal(store.history(), before)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 1)), min_size=1, max_size=12))
def test_labels_in_the_order_of_observation_count_as_by_hand(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[Key, int]]
) -> None:
    """A file a label, each later than the one before."""
    store = LabelStore(tmp_path_factory.mktemp("labels"))
    files = [[(key, label, day)] for day, (key, label) in enumerate(told)]
    for number, file in enumerate(files):
        imported(store, fresh(file), f"s{number}", EPOCH + timedelta(days=365, seconds=number))
    current = store.current()
    assert as_told(current) == {key: (label, False) for key, label in told}
    for row in current.itertuples(index=False):
        of_key = [label for key, label in told if key == key_of(row)]
        assert row.revisions == sum(a != b for a, b in pairwise(of_key))


@pytest.mark.parametrize(
    ("known", "file", "verdicts", "counts"),
    [
        ([], [(1, 3)], ["new"], 1),
        ([(1, 3)], [(1, 3)], ["known"], 1),
        ([(1, 3)], [(1, 5)], ["known"], 1),
        ([(1, 3)], [(0, 5)], ["revised"], 0),
        ([(1, 3)], [(0, 3)], ["revised"], 0),
        ([(1, 3)], [(0, 1)], ["older"], 1),
        ([], [(1, 3), (1, 3)], ["new", "duplicate"], 1),
        ([], [(1, 3), (1, 4)], ["new", "duplicate"], 1),
        ([], [(0, 4), (1, 3)], ["revised", "new"], 0),
        ([], [(1, 1), (0, 2), (1, 3)], ["new", "revised", "revised"], 1),
        ([(1, 2)], [(0, 1), (0, 3)], ["older", "revised"], 0),
        ([], [(1, 3), (0, 3)], ["conflict", "conflict"], None),
        ([], [(1, 3), (0, 3), (0, 3)], ["conflict", "conflict", "duplicate"], None),
        ([(1, 2)], [(1, 3), (0, 3)], ["conflict", "conflict"], 1),
        ([], [(1, 3), (0, 3), (0, 4)], ["conflict", "conflict", "new"], 0),
    ],
)
def test_a_row_is_judged_against_what_is_known(
    known: list[tuple[int, int]],
    file: list[tuple[int, int]],
    verdicts: list[str],
    counts: int | None,
    tmp_path: Path,
) -> None:
    store = LabelStore(tmp_path)
    if known:
        first = fresh((PUPIL, label, day) for label, day in known)
        imported(store, first, "a", EPOCH + timedelta(days=20))
    rows = fresh((PUPIL, label, day) for label, day in file)
    assert imported(store, rows, "b", EPOCH + timedelta(days=21)) == verdicts
    [(label, conflict)] = as_told(store.current()).values()
    assert label == counts
    assert conflict == ("conflict" in verdicts and file[-1][1] != 4)
    before = store.history()
    again = imported(store, rows, "b", EPOCH + timedelta(days=22))
    assert set(again) <= {"known", "duplicate", "conflict"}
    pd.testing.assert_frame_equal(store.history(), before)


def test_the_right_file_again_after_a_wrong_one_counts_again(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)

    def take(label: int, day: int, source: str) -> list[str]:
        rows = [Fresh(2, PREDICTION, label, day * DAY)]
        return imported(store, rows, source, EPOCH + timedelta(days=day))

    assert take(1, 10, "first") == ["new"]
    assert take(0, 11, "second") == ["revised"]
    assert take(1, 12, "first") == ["revised"]
    assert take(1, 13, "first") == ["known"]
    assert store.current()["revisions"].tolist() == [2]


def test_history_keeps_everything_in_order_with_its_types(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    assert store.history().empty
    assert store.current().empty
    assert not (tmp_path / "labels").exists()
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    store.add([Entry(PUPIL, 1, 3 * DAY, "label", "abc")], now)
    store.add([Entry(PREDICTION, 0, 4 * DAY, "label", "def")], now + timedelta(hours=1))
    history = store.history()
    assert history["source"].tolist() == ["abc", "def"]
    assert history["label"].tolist() == [1, 0]
    assert history["period"].isna().tolist() == [False, True]
    assert history["observed_at"].tolist() == [EPOCH + timedelta(days=3), EPOCH + timedelta(days=4)]
    assert history["imported_at"].tolist() == [now, now + timedelta(hours=1)]
    names = sorted(path.name for path in (tmp_path / "labels").glob("*.parquet"))
    assert names == ["20260601T120000000000Z-abc.parquet", "20260601T130000000000Z-def.parquet"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "20260601T120000000000Z-abc.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(IntegrityError, match=r"Z-abc\.parquet cannot be read"):
        LabelStore(tmp_path).current()


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_period_is_the_utc_year_month_or_day(moment: datetime) -> None:
    micros = np.array([(moment - EPOCH) // timedelta(microseconds=1)])
    formats: dict[PeriodRule, str] = {"year": "%Y", "month": "%Y%m", "day": "%Y%m%d"}
    for rule, shape in formats.items():
        assert period_of(micros, rule).tolist() == [int(moment.strftime(shape))]
