"""A worker in the test's own process that follows the pointer."""

from collections.abc import Iterator
from contextlib import contextmanager

from registry.state import State
from registry.worker import Baked, Worker


@contextmanager
def following(state: State, baked: Baked | None = None) -> Iterator[Worker]:
    """It runs until the end of the block."""
    worker = Worker(state, max_rows=10)
    worker.start(baked, poll_seconds=0.01)
    try:
        yield worker
    finally:
        worker.stop()
