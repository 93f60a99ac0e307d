"""Heartbeats: who is alive, and who has fallen silent though its process is there."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from monitoring.status.facts import Worker
from registry import heartbeat
from registry.heartbeat import Beat
from registry.state import State

_TICKS = os.sysconf("SC_CLK_TCK")


def look(state: State) -> Iterator[Worker]:
    """Everybody whose heartbeat is fresh, and who is silent though its process is there."""
    now = heartbeat.clock(state)()
    beats: list[tuple[Beat, float]] = []
    with suppress(OSError):  # what cannot be read is told of the whole state
        beats = heartbeat.written(state)
    for beat, written in beats:
        up = None if beat.is_gone() else _up_seconds(beat)
        age = max(now - written, 0.0)
        alive = age < heartbeat.EXPIRES_SECONDS and not beat.is_gone()
        if alive or (up is not None and up > age):
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
    if not beat.is_here:
        return None
    try:
        facts = Path(f"/proc/{beat.pid}/stat").read_text(encoding="utf-8", errors="replace")
        started = int(facts.rpartition(")")[2].split()[19]) / _TICKS
    except (OSError, ValueError, IndexError):
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
