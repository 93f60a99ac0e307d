"""Ports for processes that are started for a while: drills, benchmarks, tests."""

import random
import socket

_FIRST, _LAST = 10_000, 32_000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now.

    Below those that Linux gives out by itself (32768 and up): who gets this one may take seconds to
    bind it, and until then a connection or BentoML's own sockets would be given the same.
    """
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
