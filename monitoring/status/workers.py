"""Heartbeats: who is alive, and who has fallen silent though its process is there."""

import math
from collections.abc import Iterator
from contextlib import suppress

from monitoring.status.facts import Worker
from registry import heartbeat
from registry.heartbeat import Beat
from registry.processes import up_seconds
from registry.state import State


def look(state: State) -> Iterator[Worker]:
    """Everybody whose heartbeat is fresh, and who is silent though its process is there."""
    now = heartbeat.clock(state)()
    beats: list[tuple[Beat, float]] = []
    with suppress(OSError):  # what cannot be read is told of the whole state
        beats = heartbeat.written(state)
    for beat, written in beats:
        age = max(now - written, 0.0)
        if beat.is_gone(age):
            continue
        up, alive = _up_seconds(beat), age < heartbeat.EXPIRES_SECONDS
        if alive or up is not None:
            yield _worker(beat, age, up, alive=alive)


def _worker(beat: Beat, age: float, up: float | None, *, alive: bool) -> Worker:
    return Worker(
        name=beat.name,
        version=beat.version,
        generation=beat.generation,
        resident=beat.resident,
        challenger=beat.challenger,
        problem=beat.problem,
        beat_seconds=age,
        alive=alive,
        up_seconds=up,
    )


def _up_seconds(beat: Beat) -> float | None:
    """How long the process has run; None where it runs on another host or in another container."""
    up = up_seconds(beat.pid) if beat.is_here else None
    return None if up is None or math.isinf(up) else up
