"""When each version was champion, from the history. Pure, standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from registry.history import Event

Name = tuple[str, str]
"""Model and version."""


@dataclass(frozen=True)
class Term:
    """One time as champion, in UTC as the history has it; `until` and `ended_by` (promote or
    rollback) are None while it lasts."""

    generation: int
    since: str
    until: str | None
    ended_by: str | None

    def seconds(self, now: datetime) -> float:
        """How long it lasted, or has until `now`; 0 where the history's times say less."""
        until = now if self.until is None else datetime.fromisoformat(self.until)
        return max((until - datetime.fromisoformat(self.since)).total_seconds(), 0.0)


def terms(events: Sequence[Event]) -> dict[Name, list[Term]]:
    """The terms of every version that was ever champion, oldest first. A move to the version that
    was champion already goes on with its term."""
    found: dict[Name, list[Term]] = {}
    current: Name | None = None
    for event in events:
        name = (event["model"], event["to"])
        if name == current:
            continue
        if current is not None:
            open_term = found[current][-1]
            found[current][-1] = Term(
                open_term.generation, open_term.since, event["at"], event["action"]
            )
        found.setdefault(name, []).append(Term(event["generation"], event["at"], None, None))
        current = name
    return found


def duration(seconds: float) -> str:
    """In words, the two largest units."""
    parts: list[str] = []
    rest = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
