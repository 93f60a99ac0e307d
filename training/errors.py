"""Why training stops, each with its exit code.

TrainingError          2   the file, the flags or the configuration are wrong
├── ContractError      2   rows break the contract; carries every violation
├── LeakageError       2   a column gives the answer away
└── NotEnoughDataError 3   too few rows of one class
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Violation(NamedTuple):
    """One value that breaks the contract; `row` counts from 0, None for the whole column."""

    row: int | None
    column: str
    value: Any
    expected: str

    def __str__(self) -> str:
        if self.row is None:
            return f"column {self.column}: missing, expected {self.expected}"
        return f"row {self.row}, column {self.column}: {self.value!r}, expected {self.expected}"


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
