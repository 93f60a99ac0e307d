"""The access log: one JSON line a request on stdout, by which a request is followed by its id."""

import os
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson

from monitoring import metrics
from monitoring.routes import PROBES
from serving.exchange import Exchange

_UNTOLD = range(502, 600)
"""No other line says these; an unexpected error, 500, has an ERROR line of its own."""
_STDOUT = 1
_PERIOD_SECONDS = 0.1
_MOST_LINES = 20_000
_ATOMIC_BYTES = 4096  # PIPE_BUF: what no other process's lines can get into
_END_SECONDS = 1.0


class AccessLog:
    """Lines are gathered here and written by a thread: who reads stdout and stands still must not
    keep an answer from anybody. What is not taken in time is dropped, the oldest first."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._lines: deque[dict[str, Any]] = deque(maxlen=_MOST_LINES)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        if self._enabled:
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, unless nobody reads."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def tell(
        self, exchange: Exchange, method: str, route: str, status: int, seconds: float
    ) -> None:
        """Add a line; a probe that succeeded has none."""
        if not self._enabled or (route in PROBES and status < 400):
            return
        if len(self._lines) == _MOST_LINES:
            metrics.ACCESS_LOG_DROPPED.inc()
        version = exchange.version
        self._lines.append(
            {
                "ts": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "level": "ERROR" if status in _UNTOLD else "INFO",
                "logger": "access",
                "message": f"{method} {route} {status}",
                "request_id": exchange.request_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "rows": len(exchange.rows),
                "model_version": version.version if version else None,
            }
        )

    def _run(self) -> None:
        while not self._stopped.wait(_PERIOD_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        """What has gathered, whole lines at a time."""
        content = b""
        while self._lines:
            line = orjson.dumps(self._lines.popleft()) + b"\n"
            if content and len(content) + len(line) > _ATOMIC_BYTES:
                _put(content)
                content = b""
            content += line
        _put(content)


def _put(content: bytes) -> None:
    try:
        while content:
            content = content[os.write(_STDOUT, content) :]
    except OSError:
        # Stdout is closed, or its disk full: there is nowhere else to say so.
        metrics.ACCESS_LOG_DROPPED.inc(content.count(b"\n"))
