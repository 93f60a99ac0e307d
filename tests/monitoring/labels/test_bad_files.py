"""Files of labels that are refused: whole, in one line, with nothing changed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from monitoring.labels.__main__ import main
from tests.monitoring.labels.given import (
    COLUMNS,
    CPF,
    PREDICTIONS,
    snapshot,
    write,
)

BAD: dict[str, tuple[list[str], list[list[Any]], str]] = {
    "a label of 2": (
        COLUMNS,
        [[PREDICTIONS[0], 1, None], [CPF, 2, None]],
        "label, row 3: expected",
    ),
    "a label in words": (COLUMNS, [[PREDICTIONS[0], CPF, None]], "label, row 2: expected 0, 1"),
    "no label column": (["prediction_id", CPF], [["a", 1]], "no column label or em_risco in"),
    "no key column": (["label"], [[1]], "no column prediction_id, and no column"),
    "no period column": (["entity_id", "label"], [[CPF, 1]], "no column period or ano"),
    "two label columns": (["prediction_id", "label", "em_risco"], [["a", 1, 1]], "keep one"),
    "a row without a key": (COLUMNS, [["a", 1, None], [None, 1, None]], "key, row 3: expected"),
    "an entity without a period": (
        ["entity_id", "period", "label"],
        [[CPF, None, 1]],
        "key, row 2",
    ),
    "a period in words": (["entity_id", "period", "label"], [[CPF, "maio", 1]], "period, row 2"),
    "a fraction of a period": (
        ["entity_id", "period", "label"],
        [[CPF, "2024.5", 1]],
        "period, row 2",
    ),
    "a time in words": (COLUMNS, [["a", 1, CPF]], "observed_at, row 2: expected a time"),
    "an ambiguous date": (COLUMNS, [["a", 1, "03/04/2026"]], "observed_at, row 2"),
    "no such day": (COLUMNS, [["a", 1, "2026-02-30"]], "observed_at, row 2"),
    "a period of thousands of digits": (
        ["entity_id", "period", "label"],
        [[CPF, "9" * 5000, 1]],
        "period, row 2: expected an integer",
    ),
    "a period too late": (
        ["entity_id", "period", "label"],
        [[CPF, "100000000", 1]],
        "period, row 2: expected an integer from 0 to 99999999",
    ),
    "a prediction without an id": (COLUMNS, [["NA", 1, None]], "key, row 2: expected"),
    "an entity without an id": (
        ["entity_id", "period", "label"],
        [[CPF, 2024, 1], [" null ", 2024, 1]],
        "key, row 3: expected",
    ),
    "a time before there were any": (
        COLUMNS,
        [["a", 1, "1969-12-31T23:59:59"]],
        "observed_at, row 2: expected a time from 1970 on",
    ),
    "tomorrow's tomorrow": (
        COLUMNS,
        [["a", 1, (datetime.now(UTC) + timedelta(days=2)).isoformat()]],
        "not in the future",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_one_bad_row_refuses_the_file_in_one_line_that_repeats_no_value(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, suffix: str
) -> None:
    header, rows, said = BAD[case]
    text = [[None if cell is None else str(cell) for cell in row] for row in rows]
    path = write(tmp_path / f"bad{suffix}", header, text)
    before = snapshot(home)
    assert main(["import", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path}: ")
    assert said in err
    assert err.count("\n") == 1
    assert CPF not in err
    assert snapshot(home) == before


def test_many_bad_rows_are_counted_and_the_first_are_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "bad.csv", COLUMNS, [["a", 7, None]] * 10)
    assert main(["import", str(path)]) == 2
    assert "label, rows 2, 3, 4, 5, 6 and 5 more: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.csv", None, "No such file"),
        ("labels.txt", b"x", "ends in .csv, .parquet or .xlsx"),
        ("labels.csv", b"", "broken"),
        ("labels.csv", "prediction_id,label\nJoão,1\n".encode("latin-1"), "not UTF-8"),
        ("labels.csv", b"prediction_id,label\na,1\nb\n", "row 3: expected 2 cells"),
        ("labels.csv", b"prediction_id,label\na,1,0\n", "row 2: expected 2 cells"),
        ("labels.parquet", b"PAR1 torn PAR1", "broken"),
        ("labels.xlsx", b"PK torn", "broken"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    said: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["import", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (home / "labels").exists()


def test_a_workbook_of_two_sheets_with_cells_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "l.xlsx", COLUMNS, [[PREDICTIONS[0], 1, None]])
    book = openpyxl.load_workbook(path)
    book.create_sheet("empty")
    book.save(path)
    assert main(["import", str(path), "--dry-run"]) == 0
    book.create_sheet("more").append(["x"])
    book.save(path)
    assert main(["import", str(path)]) == 2
    assert "one sheet" in capsys.readouterr().err


def test_labels_by_entity_need_the_secret(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATATHON_ENTITY_SECRET")
    path = write(tmp_path / "l.csv", ["entity_id", "period", "label"], [["0001", 2024, 1]])
    assert main(["import", str(path)]) == 2
    assert "DATATHON_ENTITY_SECRET is not set" in capsys.readouterr().err
    by_id = write(tmp_path / "p.csv", COLUMNS, [[PREDICTIONS[0], 1, None]])
    assert main(["import", str(by_id)]) == 0
