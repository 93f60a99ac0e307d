"""The status as one JSON document, docs/status.md field by field."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from monitoring.status import judgement
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding

SCHEMA = 2


def make(facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """What was seen and what was made of it."""
    seen = plain(facts)
    contacts = seen["settings"].pop("contacts")
    return {
        "kind": "status",
        "schema": SCHEMA,
        "made_at": seen.pop("now"),
        "status": judgement.status(findings),
        "findings": [_finding(finding) for finding in findings],
        **seen,
        "contacts": dict(contacts),
    }


def plain(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists, times as ISO 8601 in UTC."""
    if is_dataclass(value):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _finding(finding: Finding) -> Mapping[str, Any]:
    return {
        "severity": finding.severity,
        "sentence": finding.sentence,
        "alert": finding.section,
        "runbook": finding.runbook,
        "command": finding.commands[0] if finding.commands else None,
        "commands": list(finding.commands),
    }
