"""Ctrl-C and SIGTERM alike, and once: what cleans up after the first must not be cut off by a
second."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, the first of the signals raises KeyboardInterrupt, and later ones do nothing."""
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hold() -> None:
    """From here on, within `stoppable`, nothing stops: what is left to do takes milliseconds."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    hold()
    raise KeyboardInterrupt
