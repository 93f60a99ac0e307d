"""Reading rows and holding them against the contract, before anything is fitted.

Every violation is found in one pass and named by row, column, value and what was expected; nothing
is repaired silently.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from registry.configuration import Configuration, ModelSettings
from registry.pipeline import column
from registry.schema import Feature, Range, Schema
from registry.validation import MAX_TEXT
from training.errors import ContractError, TrainingError, Violation

_READERS = {".csv", ".parquet", ".xlsx"}
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


@dataclass(frozen=True)
class Dataset:
    """Labelled rows that keep the contract.

    `columns`: feature name to an array of shape (rows,), float64 with NaN or objects with None;
    `target`: int8 of 0 and 1; `entities`: a code from 0 for who a row is about (each row its own
    where no entity is known); `periods`: the time column's values, all numbers or all texts, or
    None.
    """

    columns: dict[str, NDArray[Any]]
    target: NDArray[np.int8]
    entities: NDArray[np.int64]
    periods: NDArray[Any] | None
    unlabelled: int
    unusual: dict[str, int]

    @property
    def rows(self) -> int:
        return len(self.target)

    def take(self, chosen: NDArray[np.bool_]) -> "Dataset":
        """The rows where `chosen`, of shape (rows,), is true."""
        return Dataset(
            columns={name: values[chosen] for name, values in self.columns.items()},
            target=self.target[chosen],
            entities=self.entities[chosen],
            periods=None if self.periods is None else self.periods[chosen],
            unlabelled=0,
            unusual={},
        )


@dataclass(frozen=True)
class Rows:
    """Rows that keep the contract, as in `Dataset`, with a label or without: `target` is float64
    with NaN, and `periods` holds None where an unlabelled row has none."""

    columns: dict[str, NDArray[Any]]
    target: NDArray[np.float64]
    entities: NDArray[np.int64]
    periods: NDArray[Any] | None
    unusual: dict[str, int]

    def labelled(self) -> Dataset:
        """The rows with a label; the others are counted."""
        known = ~np.isnan(self.target)
        return Dataset(
            columns={name: values[known] for name, values in self.columns.items()},
            target=self.target[known].astype(np.int8),
            entities=self.entities[known],
            periods=None if self.periods is None else self.periods[known],
            unlabelled=int((~known).sum()),
            unusual=self.unusual,
        )


def read_table(path: Path) -> pd.DataFrame:
    """Read CSV, Parquet or XLSX, as the name ends.

    Raises:
        TrainingError: another ending, no such file, or a file that is not what its name says.
    """
    return parse_table(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a table.

    Raises:
        TrainingError: the name has another ending than those of `read_table`, or no such file.
    """
    if path.suffix.lower() not in _READERS:
        raise TrainingError(f"{path}: expected a name that ends in .csv, .parquet or .xlsx")
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from error


def parse_table(path: Path, content: bytes) -> pd.DataFrame:
    """The table in the bytes of `path`; see `read_table`. CSV and XLSX may spell null as a word.

    Raises:
        TrainingError: the bytes are not what the name says.
    """
    suffix = path.suffix.lower()
    stream = io.BytesIO(content)
    try:
        if suffix == ".csv":
            return pd.read_csv(stream, dtype=str, keep_default_na=False, na_values=_NULLS)
        if suffix == ".parquet":
            return pd.read_parquet(stream)
        return pd.read_excel(stream, dtype=object, keep_default_na=False, na_values=_NULLS)
    except Exception as error:  # each reader has exceptions of its own for a broken file
        words = " ".join(str(error).split())[:200]
        raise TrainingError(f"{path}: not a readable {suffix[1:]} file: {words}") from error


def check(table: pd.DataFrame, configuration: Configuration) -> Dataset:
    """Hold a table against the configuration's contract and keep its labelled rows.

    Raises:
        ContractError: with every violation found.
    """
    return hold(table, configuration.model, configuration.schema).labelled()


def hold(table: pd.DataFrame, model: ModelSettings, schema: Schema) -> Rows:
    """Hold a table against a contract: the schema, and the columns that `model` names.

    Raises:
        ContractError: with every violation found.
    """
    violations = _columns_at_fault(table, model, schema)
    if violations:
        raise ContractError(violations)
    target, violations = _target(table[model.target])
    columns = {}
    unusual = {}
    for feature in schema.features:
        values, found, odd = _feature(feature, table[feature.name])
        columns[feature.name] = values
        violations += found
        if odd:
            unusual[feature.name] = odd
    periods = None
    if model.time_column is not None:
        series = table[model.time_column]
        periods = _periods(series)
        missing = series.isna().to_numpy() & ~np.isnan(target)
        violations += _violations(series, missing, "a period")
    if violations:
        raise ContractError(violations)
    return Rows(columns, target, entity_codes(table, model.entity_column), periods, unusual)


def entity_codes(table: pd.DataFrame, entity_column: str | None) -> NDArray[np.int64]:
    """A code for who each row is about, shape (rows,); a row without an entity is its own."""
    if entity_column is None:
        return np.arange(len(table), dtype=np.int64)
    codes, known = pd.factorize(table[entity_column], use_na_sentinel=True)
    codes = codes.astype(np.int64)
    unknown = codes < 0
    codes[unknown] = len(known) + np.arange(int(unknown.sum()))
    return codes


def _columns_at_fault(table: pd.DataFrame, model: ModelSettings, schema: Schema) -> list[Violation]:
    roles = [model.target, model.time_column, model.entity_column]
    needed = [name for name in roles if name is not None] + list(schema.names)
    given = list(table.columns)
    return [
        Violation(None, name, given.count(name), "one column of this name")
        for name in needed
        if given.count(name) != 1
    ]


def _target(series: "pd.Series[Any]") -> tuple[NDArray[np.float64], list[Violation]]:
    numbers = _numbers(series)
    bad = series.notna().to_numpy() & ~np.isin(numbers, (0.0, 1.0))
    return numbers, _violations(series, bad, "0, 1 or null")


def _periods(series: "pd.Series[Any]") -> NDArray[Any]:
    """Numbers where all are numbers, so that 10 comes after 9 in a CSV too; else texts. Shape
    (rows,), None for null."""
    numbers = _numbers(series)
    null = series.isna().to_numpy()
    values: list[Any]
    if np.isnan(numbers[~null]).any():
        values = series.infer_objects().astype(str).tolist()  # times as ISO 8601
    else:
        values = [None if np.isnan(number) else _whole(number) for number in numbers.tolist()]
    periods = column(values, numeric=False)
    periods[null] = None
    return periods


def _feature(
    feature: Feature, series: "pd.Series[Any]"
) -> tuple[NDArray[Any], list[Violation], int]:
    """Values in the model's types, the violations, and how many lie outside what is usual."""
    null = series.isna().to_numpy()
    violations = [] if feature.optional else _violations(series, null, feature.expected)
    if feature.type == "category":
        values, found, odd = _category(feature, series)
        return values, violations + found, odd
    numbers = _numbers(series)
    bad = ~null & ~_within(numbers, feature.bounds)
    if feature.type == "integer":
        bad |= ~null & (numbers != np.round(numbers))
    odd = int((~null & ~_within(numbers, feature.soft_range or feature.bounds)).sum())
    return numbers, violations + _violations(series, bad, feature.expected), odd


def _category(
    feature: Feature, series: "pd.Series[Any]"
) -> tuple[NDArray[Any], list[Violation], int]:
    texts = [None if pd.isna(value) else text_of(value) for value in series.tolist()]
    unusual = np.array([text is not None and text not in feature.levels for text in texts])
    long = np.array([text is not None and len(text) > MAX_TEXT for text in texts])
    if feature.closed:
        violations = _violations(series, unusual, feature.expected)
    else:
        violations = _violations(series, long, f"a text of at most {MAX_TEXT} characters")
    odd = int(unusual.sum()) if feature.levels else 0
    return column(texts, numeric=False), violations, odd


def _numbers(series: "pd.Series[Any]") -> NDArray[np.float64]:
    """Shape (rows,), NaN for null and for whatever is no number: neither a date nor a truth value
    is one, for the service refuses them too."""
    if series.dtype.kind in "bmM":
        return np.full(len(series), np.nan)
    if series.dtype == object:
        series = series.mask(series.map(lambda value: isinstance(value, bool | np.bool_)))
    return pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _within(numbers: NDArray[np.float64], bounds: Range) -> NDArray[np.bool_]:
    return (bounds[0] <= numbers) & (numbers <= bounds[1])


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def text_of(value: Any) -> str:
    """A level that stands as 10.0 in a column of numbers with nulls is the level 10."""
    return str(_whole(value)) if isinstance(value, float) else str(value)


def _violations(series: "pd.Series[Any]", bad: NDArray[np.bool_], expected: str) -> list[Violation]:
    name = str(series.name)
    rows = np.flatnonzero(bad)
    return [
        Violation(int(row), name, None if pd.isna(value) else value, expected)
        for row, value in zip(rows, series.iloc[rows].tolist(), strict=True)
    ]
