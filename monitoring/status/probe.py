"""One GET that ends in time, whatever is at the other end."""

import http.client
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import SplitResult

SECONDS = 2.0
_MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back; `status` is None where nothing did, and `problem` says why."""

    status: int | None = None
    body: bytes = b""
    problem: str | None = None


def get(base: SplitResult, path: str, *, seconds: float = SECONDS) -> Answer:
    """GET `path` under `base` (http or https), straight and never by a proxy. A thread that hangs
    in a name server or on a trickle of bytes is left behind after `seconds`."""
    found: list[Answer] = []
    thread = threading.Thread(
        target=lambda: found.append(_get(base, path, seconds)), daemon=True, name=f"GET {path}"
    )
    thread.start()
    thread.join(seconds + 0.1)
    return found[0] if found else _late(seconds)


def _get(base: SplitResult, path: str, seconds: float) -> Answer:
    kind = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(base.hostname or "", base.port, timeout=seconds)
        try:
            connection.request("GET", base.path.rstrip("/") + path, headers={"Connection": "close"})
            response = connection.getresponse()
            return Answer(response.status, response.read(_MOST_BYTES))
        finally:
            connection.close()
    except TimeoutError:
        return _late(seconds)
    except ssl.SSLError as error:
        return Answer(problem=f"TLS: {error.reason or error}")
    except OSError as error:
        return Answer(problem=(error.strerror or str(error)).lower())
    except (http.client.HTTPException, ValueError) as error:
        return Answer(problem=f"an answer that is no HTTP ({type(error).__name__})")


def _late(seconds: float) -> Answer:
    return Answer(problem=f"no answer within {seconds:g} s")
