"""Tables out of CSV, Parquet and XLSX, as cells: what the cells mean is checked elsewhere.

Rows are numbered as a spreadsheet shows them, so that row 1 is the header, in Parquet too.
"""

import csv
import io
import warnings
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

_SHOWN = 5


@dataclass(frozen=True)
class Table:
    """Cells as the file's format gives them, of the rows that are not blank, and their numbers.
    `day_first`: a Brazilian spreadsheet wrote the dates."""

    header: Sequence[str]
    numbers: Sequence[int]
    cells: Sequence[Sequence[Any]]
    day_first: bool = False


class BadTableError(Exception):
    """Words about what was expected."""


def row_words(rows: Sequence[int]) -> str:
    """The first few rows by number, and how many more."""
    shown = ", ".join(map(str, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"row{'s' * (len(rows) > 1)} {shown}{more}"


def normal(title: object) -> str:
    """A column's title as it is compared."""
    return str(title).strip().casefold()


def _csv(content: bytes, names: Container[str]) -> Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadTableError("not UTF-8; save it as CSV UTF-8") from None
    first = next(iter(text.splitlines()), "")
    separator = max(",;\t", key=lambda one: _familiar(first, one, names))
    header, *records = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    numbered = [(n, cells) for n, cells in enumerate(records, 2) if any(map(str.strip, cells))]
    uneven = [n for n, cells in numbered if len(cells) != len(header)]
    if uneven:
        raise BadTableError(f"{row_words(uneven)}: expected {len(header)} cells, as in row 1")
    numbers, kept = [n for n, _ in numbered], [cells for _, cells in numbered]
    return Table(header, numbers, kept, day_first=separator == ";")


def _familiar(header: str, separator: str, names: Container[str]) -> int:
    titles = next(csv.reader([header], delimiter=separator), [])
    return sum(normal(title) in names for title in titles)


def _parquet(content: bytes, names: Container[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(content))
    places = [n for n, name in enumerate(file.schema_arrow.names) if normal(name) in names]
    header = [file.schema_arrow.names[n] for n in places]
    if len(set(header)) < len(header):
        raise BadTableError("two columns have the same name")
    table = file.read(columns=header)
    columns = [table.column(name).to_pylist() for name in header]
    cells = list(zip(*columns, strict=True))
    return Table(header, range(2, len(cells) + 2), cells)


def _xlsx(content: bytes, names: Container[str]) -> Table:
    import openpyxl  # type: ignore[import-untyped]

    with warnings.catch_warnings(action="ignore"):  # about decorations that it leaves out
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    filled = []
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what some programs write there is wrong
        rows = [(n, r) for n, r in enumerate(sheet.iter_rows(values_only=True), 1) if _any_cell(r)]
        if rows:
            filled.append(rows)
    if len(filled) != 1:
        raise BadTableError(f"expected one sheet with cells, got {len(filled)}")
    (_, header), *records = filled[0]
    width = len(header)
    cells = [(tuple(row) + (None,) * width)[:width] for _, row in records]
    return Table([str(title) for title in header], [n for n, _ in records], cells)


def _any_cell(row: Sequence[Any]) -> bool:
    return any(cell is not None and cell != "" for cell in row)


Reader: TypeAlias = Callable[[bytes, Container[str]], Table]
READERS: dict[str, Reader] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".xlsx": _xlsx,
}
