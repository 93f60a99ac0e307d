"""A client that goes on asking at a steady pace, whatever happens, and remembers what it got."""

import http.client
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson

from monitoring.drills.service import HOST

ROWS = 10
RATE = 6.0
_THREADS = 12
_TIMEOUT_SECONDS = 20.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One request: monotonic seconds, the status (0: no answer), the rows it asked for."""

    began: float
    ended: float
    status: int
    rows: int
    request_id: str


@dataclass(frozen=True)
class Traffic:
    """What is sent, over and over: bodies of so many rows each."""

    bodies: tuple[bytes, ...]
    rows: int

    @classmethod
    def of(cls, rows: Sequence[Row], size: int = ROWS) -> "Traffic":
        """All rows in requests of `size`; what is left over is left out."""
        starts = range(0, len(rows) - size + 1, size)
        return cls(tuple(orjson.dumps({"instances": rows[at : at + size]}) for at in starts), size)


class Client:
    """So many requests a second over new connections, as a proxy's callers make them, from entering
    the block to leaving it."""

    def __init__(self, port: int, traffic: Traffic) -> None:
        self._port = port
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
        self._next = 0.0
        self._bodies: Iterator[bytes]
        self.send(traffic)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(_TIMEOUT_SECONDS)

    def send(self, traffic: Traffic, *, rate: float = RATE) -> None:
        """From now on, this, so often a second."""
        with self._lock:
            self._rows, self._pause = traffic.rows, 1 / rate
            self._bodies = itertools.cycle(traffic.bodies)

    def answers(self, since: float = 0.0) -> list[Answer]:
        """Of requests that began at `since` or later, in the order of their ends."""
        with self._lock:
            return [answer for answer in self._answers if answer.began >= since]

    def _work(self) -> None:
        while True:
            with self._lock:  # turns that passed while everybody waited are not made up for
                turn = max(self._next, time.monotonic())
                self._next = turn + self._pause
            if self._stopped.wait(turn - time.monotonic()):
                return
            with self._lock:
                body, rows = next(self._bodies), self._rows
            answer = self._ask(body, rows)
            with self._lock:
                self._answers.append(answer)

    def _ask(self, body: bytes, rows: int) -> Answer:
        began = time.monotonic()
        status, request_id = 0, ""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", "/predict", body, headers)
            response = connection.getresponse()
            response.read()
            status, request_id = response.status, response.headers.get("X-Request-ID", "")
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return Answer(began, time.monotonic(), status, rows, request_id)
