"""Every error leaves as one JSON object: {"error": words, "detail": [{"loc", "msg", "type"}]}."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from registry.validation import InvalidRowsError, Problem

_WORDS = {
    400: "the request breaks the contract",
    404: "no such path; the service has /predict, /health, /metadata, /metrics, /livez and /readyz",
    405: "this path does not take this method",
    413: "the body is too large",
    415: "send Content-Type: application/json",
    429: "too many requests at once; try again shortly",
    500: "unexpected error; the log has it under this request's X-Request-ID",
    503: "nothing can be served right now; try again shortly",
    504: "the answer took too long",
}
_RETRY = {429, 503}


@dataclass(frozen=True)
class Refusal:
    """An answer that is not 200."""

    status: int
    error: str
    detail: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, status: int, error: str | None = None) -> "Refusal":
        """The refusal for a status, in the usual words unless others are given."""
        return cls(status, error or _WORDS.get(status, "the request was refused"))

    @classmethod
    def invalid(cls, error: InvalidRowsError) -> "Refusal":
        shown = len(error.problems)
        more = f", the first {shown} are listed" if error.total > shown else ""
        return cls(400, f"{error.total} problem(s) in the request{more}", error.problems)

    @property
    def body(self) -> bytes:
        detail = [problem._asdict() for problem in self.detail]
        return orjson.dumps({"error": self.error, "detail": detail})

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
        ]
        return [*headers, (b"retry-after", b"1")] if self.status in _RETRY else headers
