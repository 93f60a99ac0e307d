"""Latency: the workers get little time on the CPU, as under a CPU quota that is too low or a noisy
neighbour; the restart ends it.

DatathonLatencyWarning is the lower limit of the same alert, which silences it. The restart takes
seconds, which is a minute of a drill: DatathonDown.
"""

import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from monitoring.drills import processes
from monitoring.drills.client import Answer, Traffic
from monitoring.drills.plot import Plot
from monitoring.drills.scene import Scene
from monitoring.watching.rules import Pace

# Requests so large that one takes several turns, where a scrape of /metrics takes one or two; and
# fewer than a throttled service can still answer.
_ROWS, _RATE = 5000, 0.9
_FIRST_TURN, _STOP_SECONDS = 0.4, 0.3  # a share of what a request takes; seconds
_TOO_LITTLE, _TOO_MUCH = 2.0, 0.7  # seconds that a request takes, by which a turn is adjusted
_STEP = 1.1
_LIMIT_SECONDS = 0.5
_FAST = 4


def play(scene: Scene) -> None:
    scene.client.send(Traffic.of(scene.base.rows(), _ROWS), rate=_RATE)
    scene.settle()
    usual = statistics.median(map(_seconds, scene.client.answers()[-_FAST:]))
    with throttled(scene, turn=_FIRST_TURN * usual):
        with scene.during("fault"):
            scene.note(f"a request took {usual:.3f} s; the workers run 40 % of that, then wait")
        scene.wait_alert()
        with scene.diagnosing():
            scene.status(seconds=5)
            scene.shell("top -b -n 1 | head -15")
        with scene.during("recovery"):
            scene.restart()
            restarted = time.monotonic()
            scene.wait(lambda: _is_fast(scene, restarted), 90, "requests are still slow")
    scene.wait_resolved()


@contextmanager
def throttled(scene: Scene, *, turn: float) -> Iterator[None]:
    """The processes that are workers now run for a turn (seconds) and then stand still, over and
    over, until the end of the block. The turn follows what requests take: a slow service is wanted,
    on a fast machine too, and not one that starves."""
    pids, done, began = scene.service.workers(), threading.Event(), time.monotonic()

    def alternate() -> None:
        length = turn
        while not done.wait(length):
            for pid in pids:
                processes.send(pid, signal.SIGSTOP)
            done.wait(_STOP_SECONDS)
            for pid in pids:
                processes.send(pid, signal.SIGCONT)
            takes = _takes(scene, began)
            length *= _STEP if takes > _TOO_LITTLE else 1 / _STEP if takes < _TOO_MUCH else 1

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _takes(scene: Scene, since: float) -> float:
    """Seconds of the last requests that began since then; more, where the next one waits longer."""
    last = scene.client.answers(since)[-3:]
    waited = time.monotonic() - (last[-1].ended if last else since)
    known = statistics.mean(map(_seconds, last)) if last else _TOO_MUCH  # neither fast nor slow
    return max(known, waited - 1 / _RATE)


def _is_fast(scene: Scene, since: float) -> bool:
    """Whether the last requests that began since then took less than the alert's limit."""
    last = scene.client.answers(since)[-_FAST:]
    return len(last) == _FAST and all(_seconds(answer) < _LIMIT_SECONDS for answer in last)


def _seconds(answer: Answer) -> float:
    return answer.ended - answer.began


PLOT = Plot(
    name="latency",
    fault="the workers get hardly any time on the CPU",
    alert="DatathonLatency",
    companions=frozenset({"DatathonLatencyWarning", "DatathonDown"}),
    play=play,
    configuration={"serving": {"max_rows": _ROWS}},
    pace=Pace(factor=100, scrape_seconds=1.2),  # a scrape stands still too
)
