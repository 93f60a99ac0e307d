"""Why training stops, each with its exit code.

TrainingError          2   the file, the flags or the configuration are wrong
├── ContractError      2   rows break the contract; carries every violation
├── LeakageError       2   a column gives the answer away
└── NotEnoughDataError 3   too few rows of one class
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

_SHOWN = 80  # characters of a value
_FIRST_LINE = 2  # of a table's rows, below its heading; `monitoring.labels` counts so too


class Violation(NamedTuple):
    """One value that breaks the contract; `row` counts from 0.

    For a column as a whole `row` is None and `value` how many columns have its name.
    """

    row: int | None
    column: str
    value: Any
    expected: str

    @property
    def line(self) -> int | None:
        """Where a person finds the row in the file, the heading counted; None for a column."""
        return None if self.row is None else self.row + _FIRST_LINE

    def __str__(self) -> str:
        if self.line is None:
            found = f"{self.value} of them" if self.value else "missing"
            return f"column {self.column}: {found}, expected {self.expected}"
        shown = "null" if self.value is None else repr(self.value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        return f"line {self.line}, column {self.column}: {shown}, expected {self.expected}"


class TrainingError(Exception):
    exit_code = 2


class ContractError(TrainingError):
    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__(f"{len(violations)} violation(s) of the data contract")


class LeakageError(TrainingError):
    pass


class NotEnoughDataError(TrainingError):
    exit_code = 3
