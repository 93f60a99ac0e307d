"""When each version was champion."""

from datetime import UTC, datetime
from typing import Any

import pytest

from registry import tenure

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def move(generation: int, action: str, to: str, at: str) -> dict[str, Any]:
    return {
        "generation": generation,
        "model": "m",
        "action": action,
        "to": to,
        "at": f"2026-11-22T{at}Z",
    }


MOVES = [
    move(1, "promote", "v1.0.0", "08:00:00"),
    move(2, "promote", "v1.1.0", "09:00:00"),
    move(3, "promote", "v1.1.0", "09:10:00"),
    move(4, "rollback", "v1.0.0", "09:30:00"),
]


def test_each_version_has_its_terms_with_how_they_ended() -> None:
    found = tenure.terms(MOVES)
    assert found.keys() == {("m", "v1.0.0"), ("m", "v1.1.0")}
    first, again = found["m", "v1.0.0"]
    assert (first.generation, first.ended_by, first.seconds(NOW)) == (1, "promote", 3600)
    assert (again.generation, again.ended_by, again.seconds(NOW)) == (4, None, 2.5 * 3600)
    (only,) = found["m", "v1.1.0"]
    assert (only.generation, only.ended_by, only.seconds(NOW)) == (2, "rollback", 1800)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (79, "1 min 19 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (90_061, "1 d 1 h"),
        (86_400, "1 d"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert tenure.duration(seconds) == words
