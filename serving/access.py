"""The access log: one JSON line a request on stdout, by which a request is followed by its id."""

import os
from contextlib import suppress
from datetime import UTC, datetime

import orjson

from serving.exchange import Exchange

_PROBES = frozenset({"/health", "/livez", "/readyz", "/metrics"})
_UNTOLD = range(502, 600)
"""No other line says these; an unexpected error, 500, has an ERROR line of its own."""
_STDOUT = 1


def tell(exchange: Exchange, method: str, route: str, status: int, seconds: float) -> None:
    """Write the line; a probe that succeeded has none.

    A log that cannot be written must not keep an answer from anybody.
    """
    if route in _PROBES and status < 400:
        return
    version = exchange.version
    line = {
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
    with suppress(OSError):
        os.write(_STDOUT, orjson.dumps(line) + b"\n")
