"""Files of labels, CSV, Parquet or XLSX, checked as a whole: one bad row refuses the file.

Messages name rows, columns and what was expected, and never repeat a value or an unknown column:
a file without a header has a person in its first line.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from monitoring.labels.tables import READERS, BadTableError, Reader, Table, normal, row_words
from monitoring.times import EPOCH, micros
from registry.configuration import ModelSettings
from registry.errors import UsageError
from registry.validation import LATEST_PERIOD

_T = TypeVar("_T")
_LATEST = timedelta(days=1)  # beyond now: clocks differ, and so do days
_NULLS = {"", "na", "n/a", "nan", "null", "none"}
# With the words that a Brazilian Excel writes into a CSV.
_LABELS = {"0": 0, "1": 1, "false": 0, "true": 1, "falso": 0, "verdadeiro": 1}
_ZEROS = re.compile(r"[.,]0+$")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].+)?")
_DAY_FIRST = re.compile(r"(\d\d)/(\d\d)/(\d{4})(?: (\d\d?:\d\d(?::\d\d)?))?")


class LabelFileError(UsageError):
    """The file cannot be taken; nothing of it was."""


@dataclass(frozen=True)
class LabelRow:
    """A row whose label is known. `row` is its number in the file, `observed` microseconds since
    1970 UTC, None where the file does not say; a prediction id, if there is one, is the key."""

    row: int
    prediction_id: str | None
    entity_id: str | None
    period: int | None
    label: int
    observed: int | None


@dataclass(frozen=True)
class LabelFile:
    """The rows with a label; `unknown` counts those whose label is not known yet."""

    rows: tuple[LabelRow, ...]
    unknown: int


class _Faults:
    """What is wrong and in which rows, in words that repeat no value."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def __str__(self) -> str:
        return "; ".join(
            f"{column}, {row_words(rows)}: expected {expected}"
            for (column, expected), rows in self._rows.items()
        )

    def add(self, column: str, expected: str, row: int) -> None:
        self._rows.setdefault((column, expected), []).append(row)

    def read(
        self, name: str, cells: Iterable[Any], rows: Iterable[int], parse: Callable[[Any], _T]
    ) -> list[_T | None]:
        """Each cell, parsed; None where it is not what it should be."""
        found: list[_T | None] = []
        for row, cell in zip(rows, cells, strict=True):
            try:
                found.append(parse(cell))
            except BadTableError as expected:
                self.add(name, str(expected), row)
                found.append(None)
        return found


def parse(path: Path, content: bytes, model: ModelSettings, now: datetime) -> LabelFile:
    """The labels in the bytes of `path`, whose name says the format.

    Columns are prediction_id or entity_id and period, label, and perhaps observed_at, or what
    `model` calls them. Times without a zone are UTC.

    Raises:
        LabelFileError: it is not such a file, or any row of it is wrong.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise LabelFileError(f"{path}: expected a name that ends in .csv, .parquet or .xlsx")
    names = _names(model)
    try:
        table = _read(reader, content, names)
        return _checked(table, _places(table.header, names), now)
    except BadTableError as problem:
        raise LabelFileError(f"{path}: {problem}; nothing was imported") from None


def _read(reader: Reader, content: bytes, names: Mapping[str, str]) -> Table:
    try:
        return reader(content, names)
    except BadTableError:
        raise
    except Exception as error:  # each format has exceptions of its own for a broken file
        raise BadTableError("the file is broken, or not what its name says") from error


def _names(model: ModelSettings) -> dict[str, str]:
    """What each of our columns may be called, in small letters."""
    own = ("prediction_id", "entity_id", "period", "label", "observed_at")
    configured = {
        model.entity_column: "entity_id",
        model.time_column: "period",
        model.target: "label",
    }
    theirs = {name.casefold(): ours for name, ours in configured.items() if name is not None}
    return theirs | {name: name for name in own}


def _places(header: Sequence[str], names: Mapping[str, str]) -> dict[str, int]:
    """Where each of our columns stands."""
    places: dict[str, int] = {}
    for place, title in enumerate(header):
        name = names.get(normal(title))
        if name in places:
            raise BadTableError(f"two columns are the {name}; keep one")
        if name is not None:
            places[name] = place
    if "label" not in places:
        raise BadTableError(f"no column {_spellings('label', names)} in the first row")
    if "prediction_id" not in places:
        for name in ("entity_id", "period"):
            if name not in places:
                raise BadTableError(
                    f"no column prediction_id, and no column {_spellings(name, names)}, in the "
                    "first row"
                )
    return places


def _spellings(name: str, names: Mapping[str, str]) -> str:
    others = [key for key, ours in names.items() if ours == name and key != name]
    return " or ".join([name, *others])


def _checked(table: Table, places: Mapping[str, int], now: datetime) -> LabelFile:
    faults = _Faults()
    cells = map(itemgetter(places["label"]), table.cells)
    labels = faults.read("label", cells, table.numbers, _label)
    known = [n for n, label in enumerate(labels) if label is not None]
    numbers = [table.numbers[n] for n in known]

    def column(name: str, parse: Callable[[Any], _T]) -> list[_T | None]:
        if name not in places:
            return [None] * len(known)
        cells = (table.cells[n][places[name]] for n in known)
        return faults.read(name, cells, numbers, parse)

    times = _times(now + _LATEST, day_first=table.day_first)
    rows = tuple(
        map(
            LabelRow,
            numbers,
            column("prediction_id", _key),
            column("entity_id", _key),
            column("period", _period),
            [label for label in labels if label is not None],
            column("observed_at", times),
        )
    )
    for row in rows:
        if row.prediction_id is None and (row.entity_id is None or row.period is None):
            faults.add("key", "a prediction_id, or an entity_id and a period", row.row)
    if faults:
        raise BadTableError(str(faults))
    return LabelFile(rows, unknown=len(labels) - len(known))


def _label(cell: Any) -> int | None:
    if _is_null(cell):
        return None
    if isinstance(cell, str):
        label = _LABELS.get(_ZEROS.sub("", cell.strip().casefold()))
    else:
        label = int(cell) if isinstance(cell, int | float | Decimal) and cell in (0, 1) else None
    if label is None:
        raise BadTableError("0, 1, true, false or nothing")
    return label


def _key(cell: Any) -> str | None:
    """An id as text; a spreadsheet makes a number of one that has digits only."""
    if _is_null(cell):
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if not isinstance(cell, str):
        raise BadTableError("a text")
    return cell.strip()


def _period(cell: Any) -> int | None:
    if _is_null(cell):
        return None
    text = cell.strip() if isinstance(cell, str) else None
    if text is None and isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        text = str(cell)
    digits = _ZEROS.sub("", text or "")
    # The length first: Python makes no number of thousands of digits.
    is_short = digits.isascii() and digits.isdigit() and len(digits) <= len(str(LATEST_PERIOD))
    if not (is_short and int(digits) <= LATEST_PERIOD):
        raise BadTableError(f"an integer from 0 to {LATEST_PERIOD}")
    return int(digits)


def _times(latest: datetime, *, day_first: bool) -> Callable[[Any], int | None]:
    def read(cell: Any) -> int | None:
        if _is_null(cell):
            return None
        moment = _moment(cell, day_first=day_first)
        if moment > latest:
            raise BadTableError("a time that is not in the future")
        if moment < EPOCH:
            raise BadTableError("a time from 1970 on")
        return micros(moment)

    return read


def _moment(cell: Any, *, day_first: bool) -> datetime:
    if isinstance(cell, str):
        cell = _written_time(cell.strip(), day_first=day_first)
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    if not isinstance(cell, datetime):
        raise BadTableError("a time like 2026-03-01T10:00:00Z")
    return cell.replace(tzinfo=UTC) if cell.tzinfo is None else cell


def _written_time(text: str, *, day_first: bool) -> datetime | None:
    """Days come first only where a Brazilian spreadsheet wrote the file: 03/04/2026 is another
    day elsewhere."""
    if day_first and (match := _DAY_FIRST.fullmatch(text)):
        day, month, year, clock = match.groups()
        text = f"{year}-{month}-{day}T{(clock or '00:00').zfill(5)}"
    try:
        return datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:
        return None


def _is_null(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().casefold() in _NULLS
    return cell is None or bool(cell != cell)
