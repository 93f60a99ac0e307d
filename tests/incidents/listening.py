"""What a test of an alert listens to: who is told what, until when, and what else."""

import shutil
import threading
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from monitoring.watching.stack import Stack
from monitoring.watching.webhook import Notification
from tests.server import wait_for

SECONDS = 60.0
MARKS = [
    pytest.mark.incident,
    pytest.mark.skipif(
        shutil.which("prometheus") is None,
        reason="NOT TESTED: alerts; apt-get install prometheus prometheus-alertmanager",
    ),
]


@dataclass(kw_only=True)
class Listener:
    """`expected` is what is to be told, and after how many notifications."""

    stack: Stack
    expected: tuple[int, str, str] = (0, "", "")

    def told(self, name: str, receiver: str, since: int, *, seconds: float = SECONDS) -> None:
        """The alert, and no other, came after the first `since` notifications."""
        self.expected = (since, name, receiver)
        self.stack.wait_firing(name, seconds)
        wait_for(
            lambda: any(one.name == name and one.firing for one in self._after(since)),
            SECONDS,
            lambda: f"nobody was told {name}; {self.stack.alerts()}",
        )
        self._nothing_else()

    def over(self, *, restarted: bool = False) -> None:
        """Nothing fires any more, the end was told too, and until then nothing else was but, where
        that is what mended it, the restart of a service."""
        since, name, _ = self.expected
        self.stack.wait_quiet(name, SECONDS)
        wait_for(lambda: not self.stack.alerts(), SECONDS, lambda: str(self.stack.alerts()))
        wait_for(
            lambda: not self._open(since),
            SECONDS,
            lambda: f"nobody was told that this is over: {self._open(since)}",
        )
        self._nothing_else({("DatathonDown", "on-call")} if restarted else frozenset())

    def _open(self, since: int) -> set[frozenset[tuple[str, str]]]:
        """Of the alerts that were told, those whose end was not: what fires again before that is
        not told again."""
        found: set[frozenset[tuple[str, str]]] = set()
        for one in self._after(since):
            found |= {frozenset(labels.items()) for labels in one.firing}
            found -= {frozenset(labels.items()) for labels in one.resolved}
        return found

    def _nothing_else(self, besides: Set[tuple[str, str]] = frozenset()) -> None:
        since, name, receiver = self.expected
        found = {(one.name, one.receiver) for one in self._after(since) if one.firing}
        assert found - besides == {(name, receiver)}

    @property
    def count(self) -> int:
        return len(self.stack.notifications())

    def _after(self, since: int) -> list[Notification]:
        return self.stack.notifications()[since:]


@contextmanager
def meanwhile(act: Callable[[], object], *, pause_seconds: float) -> Iterator[None]:
    """Somebody else does this over and over, until the end of the block; what they met is raised
    there."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(pause_seconds):
            act()

    with ThreadPoolExecutor(1) as somebody:
        repeating = somebody.submit(repeat)
        try:
            yield
        finally:
            ended.set()
            repeating.result()
