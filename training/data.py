"""Reading rows and holding them against the contract, before anything is fitted.

Every violation is found in one pass and named by row, column, value and what was expected; nothing
is repaired silently.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from registry.configuration import Configuration
from registry.pipeline import column
from registry.schema import Feature
from training.errors import ContractError, TrainingError, Violation

_READERS = {".csv", ".parquet", ".xlsx"}
_CSV_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


@dataclass(frozen=True)
class Dataset:
    """Labelled rows that keep the contract.

    `columns`: feature name to an array of shape (rows,), float64 with NaN or objects with None;
    `target`: int8 of 0 and 1; `entities`: a code from 0 for who a row is about (each row its own
    where no entity is known); `periods`: the time column's values, or None.
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


def read_table(path: Path) -> pd.DataFrame:
    """Read CSV, Parquet or XLSX, as the name ends.

    Raises:
        TrainingError: another ending, no such file, or a file that is not what its name says.
    """
    if path.suffix not in _READERS:
        raise TrainingError(f"{path}: expected a name that ends in .csv, .parquet or .xlsx")
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=_CSV_NULLS)
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_excel(path)
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # each reader has exceptions of its own for a broken file
        words = " ".join(str(error).split())[:200]
        raise TrainingError(f"{path}: not a readable {path.suffix[1:]} file: {words}") from error


def check(table: pd.DataFrame, configuration: Configuration) -> Dataset:
    """Hold a table against the contract and keep its labelled rows.

    Raises:
        ContractError: with every violation found.
    """
    model = configuration.model
    violations = _missing_columns(table, configuration)
    if violations:
        raise ContractError(violations)
    target, found = _target(table[model.target])
    violations += found
    columns = {}
    unusual = {}
    for feature in configuration.schema.features:
        values, found, odd = _feature(feature, table[feature.name])
        columns[feature.name] = values
        violations += found
        if odd:
            unusual[feature.name] = odd
    periods = None if model.time_column is None else table[model.time_column].to_numpy()
    if periods is not None:
        violations += _null_periods(periods, target, model.time_column or "")
    if violations:
        raise ContractError(violations)
    labelled = ~np.isnan(target)
    whole = Dataset(
        columns=columns,
        target=np.nan_to_num(target).astype(np.int8),
        entities=entity_codes(table, model.entity_column),
        periods=periods,
        unlabelled=0,
        unusual={},
    )
    kept = whole.take(labelled)
    return Dataset(
        columns=kept.columns,
        target=kept.target,
        entities=kept.entities,
        periods=kept.periods,
        unlabelled=int((~labelled).sum()),
        unusual=unusual,
    )


def entity_codes(table: pd.DataFrame, entity_column: str | None) -> NDArray[np.int64]:
    """A code for who each row is about, shape (rows,); a row without an entity is its own."""
    if entity_column is None:
        return np.arange(len(table), dtype=np.int64)
    codes, known = pd.factorize(table[entity_column], use_na_sentinel=True)
    codes = codes.astype(np.int64)
    unknown = codes < 0
    codes[unknown] = len(known) + np.arange(int(unknown.sum()))
    return codes


def _missing_columns(table: pd.DataFrame, configuration: Configuration) -> list[Violation]:
    model = configuration.model
    roles = [model.target, model.time_column, model.entity_column]
    needed = [name for name in roles if name is not None]
    needed += [f.name for f in configuration.schema.features]
    return [
        Violation(None, name, None, "a column of this name")
        for name in needed
        if name not in table.columns
    ]


def _target(series: "pd.Series[Any]") -> tuple[NDArray[np.float64], list[Violation]]:
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    given = series.notna().to_numpy()
    bad = given & ~np.isin(numbers, (0.0, 1.0))
    return numbers, _violations(series, bad, "0, 1 or null")


def _null_periods(periods: NDArray[Any], target: NDArray[np.float64], name: str) -> list[Violation]:
    bad = pd.isna(periods) & ~np.isnan(target)
    return [Violation(int(row), name, None, "a period") for row in np.flatnonzero(bad)]


def _feature(
    feature: Feature, series: "pd.Series[Any]"
) -> tuple[NDArray[Any], list[Violation], int]:
    """Values in the model's types, the violations, and how many lie outside what is usual."""
    null = series.isna().to_numpy()
    violations = [] if feature.optional else _violations(series, null, feature.expected)
    if feature.type == "category":
        texts = [None if gone else str(value) for value, gone in zip(series, null, strict=True)]
        values = column(texts, numeric=False)
        known = np.isin(values[~null].astype(str), feature.levels)
        odd = int((~known).sum()) if feature.levels else 0
        if feature.closed:
            bad = ~null
            bad[~null] = ~known
            violations += _violations(series, bad, feature.expected)
        return values, violations, odd
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~null & ~np.isfinite(numbers)
    with np.errstate(invalid="ignore"):
        if feature.type == "integer":
            bad |= np.isfinite(numbers) & (numbers != np.round(numbers))
        if feature.hard_range is not None:
            bad |= (numbers < feature.hard_range[0]) | (numbers > feature.hard_range[1])
        low, high = feature.soft_range or (-np.inf, np.inf)
        odd = int(((numbers < low) | (numbers > high)).sum())
    return numbers, violations + _violations(series, bad, feature.expected), odd


def _violations(series: "pd.Series[Any]", bad: NDArray[np.bool_], expected: str) -> list[Violation]:
    name = str(series.name)
    return [Violation(int(row), name, series.iloc[row], expected) for row in np.flatnonzero(bad)]
