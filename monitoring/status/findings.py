"""One thing that is wrong, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["red", "yellow", "inconclusive"]
RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True)
class Finding:
    """`section` is the alert whose part of the runbook tells of it, None where none does;
    `commands` are to be run in this order."""

    severity: Severity
    sentence: str
    section: str | None
    commands: tuple[str, ...]

    @property
    def runbook(self) -> str:
        return f"{RUNBOOK}#{self.section.lower()}" if self.section else RUNBOOK
