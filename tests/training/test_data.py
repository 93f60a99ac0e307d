"""The contract of a file with rows: three formats, every violation, and files that are none."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.tiny import configuration, table, write_configuration
from training.data import Dataset, check, entity_codes, read_table
from training.errors import ContractError, TrainingError, Violation
from training.train import main

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "parquet": lambda frame, path: frame.to_parquet(path, index=False),
    "xlsx": lambda frame, path: frame.to_excel(path, index=False),
}


def read(frame: pd.DataFrame, path: Path) -> Dataset:
    WRITERS[path.suffix[1:]](frame, path)
    return check(read_table(path), configuration())


def violations(**columns: Any) -> list[Violation]:
    """Of four good rows with some columns replaced."""
    good = {
        "customer": ["a", "b", "c", "d"],
        "month": [1, 1, 2, 2],
        "income": [10.0, 20.0, 30.0, 40.0],
        "age": [30, 31, 32, 33],
        "region": ["N", "S", "N", "S"],
        "shop": ["1", "2", None, "4"],
        "debt": [1.0, None, 3.0, 4.0],
        "unpaid": [0, 1, None, 1],
    }
    with pytest.raises(ContractError) as caught:
        check(pd.DataFrame(good | columns), configuration())
    return list(caught.value.violations)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    frame = table(60)
    expected = read(frame, tmp_path / "rows.parquet")
    other = read(frame, tmp_path / f"rows.{suffix}")
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(values, other.columns[name], strict=True)
    np.testing.assert_array_equal(expected.target, other.target, strict=True)
    np.testing.assert_array_equal(expected.entities, other.entities, strict=True)
    assert expected.periods is not None
    assert other.periods is not None
    assert expected.periods.tolist() == other.periods.tolist()
    assert (expected.unlabelled, expected.unusual) == (other.unlabelled, other.unusual)
    assert (expected.rows, expected.unlabelled) == (55, 5)


@pytest.mark.parametrize("suffix", WRITERS)
def test_month_ten_comes_after_month_nine(tmp_path: Path, suffix: str) -> None:
    periods = read(table(60, months=(9, 10)), tmp_path / f"rows.{suffix}").periods
    assert periods is not None
    assert set(periods.tolist()) == {9, 10}
    assert np.max(periods) == 10


@pytest.mark.parametrize("suffix", WRITERS)
def test_days_are_the_same_texts_in_every_format(tmp_path: Path, suffix: str) -> None:
    days = pd.to_datetime(["2024-01-31", "2024-02-01"] * 6)
    periods = read(table(12).assign(month=days), tmp_path / f"rows.{suffix}").periods
    assert periods is not None
    assert set(periods.tolist()) == {"2024-01-31", "2024-02-01"}


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_a_level_that_is_a_number_in_the_file_is_its_text(tmp_path: Path, suffix: str) -> None:
    shops = np.array([1.0, 2.0, np.nan] * 4)
    data = read(table(12).assign(shop=shops, unpaid=1), tmp_path / f"rows.{suffix}")
    assert data.columns["shop"].tolist() == ["1", "2", None] * 4


def test_a_csv_may_start_with_a_byte_order_mark_and_shout(tmp_path: Path) -> None:
    path = tmp_path / "ROWS.CSV"
    table(12).to_csv(path, index=False, encoding="utf-8-sig")
    assert check(read_table(path), configuration()).rows == 11


def test_every_violation_is_found_in_one_pass() -> None:
    found = violations(
        unpaid=[0, 2, None, "yes"],
        income=[10.0, -1.0, None, 1000.5],
        age=[30.5, 31, 32, "x"],
        region=["N", "E", None, "S"],
        month=[1, None, None, 2],
    )
    assert set(found) == {
        Violation(1, "unpaid", 2, "0, 1 or null"),
        Violation(3, "unpaid", "yes", "0, 1 or null"),
        Violation(1, "income", -1.0, "a number from 0 to 1000"),
        Violation(2, "income", None, "a number from 0 to 1000"),
        Violation(3, "income", 1000.5, "a number from 0 to 1000"),
        Violation(0, "age", 30.5, "an integer or null"),
        Violation(3, "age", "x", "an integer or null"),
        Violation(1, "region", "E", "one of N, S"),
        Violation(2, "region", None, "one of N, S"),
        Violation(1, "month", None, "a period"),  # row 2 has no label, so it needs no period
    }


@pytest.mark.parametrize(
    "strange",
    [float("inf"), -float("inf"), 1e40, True, "12,5", "nan?", pd.Timestamp("2024-01-01")],
)
def test_what_is_no_number_is_refused(strange: object) -> None:
    (found,) = violations(debt=[1.0, None, strange, 4.0])
    assert (found.row, found.column, found.value) == (2, "debt", strange)


@pytest.mark.parametrize("values", [[True, False, True, False], pd.date_range("2024", periods=4)])
def test_a_column_of_another_type_is_refused_as_a_whole(values: object) -> None:
    assert [found.row for found in violations(debt=values)] == [0, 1, 2, 3]


def test_a_level_too_long_to_be_sent_is_refused() -> None:
    (found,) = violations(shop=["1", "2", "x" * 201, None])
    assert (found.row, found.column) == (2, "shop")
    assert len(str(found)) < 200


def test_missing_and_repeated_columns_are_named() -> None:
    frame = table(4).drop(columns=["income", "month", "unpaid"])
    frame = pd.concat([frame, frame[["debt"]]], axis=1)
    with pytest.raises(ContractError) as caught:
        check(frame, configuration())
    assert [(found.column, found.value) for found in caught.value.violations] == [
        ("unpaid", 0),
        ("month", 0),
        ("income", 0),
        ("debt", 2),
    ]
    assert "column income: missing" in str(caught.value.violations[2])


def test_a_row_without_an_entity_is_its_own() -> None:
    frame = pd.DataFrame({"who": ["a", None, "b", "a", None]})
    assert entity_codes(frame, "who").tolist() == [0, 2, 1, 0, 3]
    assert entity_codes(frame, None).tolist() == [0, 1, 2, 3, 4]


def broken(folder: Path) -> dict[str, Path]:
    files = {f"png.{suffix}": PNG for suffix in WRITERS}
    files |= {f"empty.{suffix}": b"" for suffix in WRITERS}
    files |= {"rows.txt": b"a,b\n1,2\n", "latin.csv": "região\nção\n".encode("latin-1")}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "folder.parquet").mkdir()
    return {name: folder / name for name in [*files, "folder.parquet", "missing.csv"]}


def test_a_file_that_is_none_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_configuration(tmp_path / "loans.yaml")
    (tmp_path / "in").mkdir()
    for name, path in broken(tmp_path / "in").items():
        output = tmp_path / "out" / "artifacts"
        call = ["--data", str(path), "--output", str(output), "--configuration", str(settings)]
        assert main(call) == 2, name
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        assert name in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    column = pa.array([1, 2])
    pq.write_table(pa.table([column, column], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(TrainingError):
        check(read_table(tmp_path / "twice.parquet"), configuration())


@pytest.mark.parametrize("bad", [40, 41])
def test_more_than_forty_violations_stand_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: int
) -> None:
    settings = write_configuration(tmp_path / "loans.yaml")
    frame = table(60)
    frame.loc[: bad - 1, "income"] = -1.0
    frame.to_csv(tmp_path / "rows.csv", index=False)
    output = tmp_path / "new" / "artifacts"
    call = ["--data", str(tmp_path / "rows.csv"), "--output", str(output)]
    assert main([*call, "--configuration", str(settings)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    shown = [line for line in lines if "column income" in line]
    assert len(shown) == 40
    assert shown[0] == "error: line 2, column income: '-1.0', expected a number from 0 to 1000"
    listing = tmp_path / "new" / "artifacts-violations.csv"
    assert listing.exists() == (bad > 40)
    if bad > 40:
        rows = list(csv.reader(listing.open(newline="")))
        assert rows[0] == ["line", "column", "value", "expected"]
        assert rows[1:] == [
            [str(row + 2), "income", "-1.0", "a number from 0 to 1000"] for row in range(bad)
        ]
    assert not output.exists()
