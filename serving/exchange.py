"""One request on its way through a worker, reachable from whatever handles it."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex
from typing import NamedTuple

from registry.loaded import LoadedVersion
from registry.validation import Value
from serving.errors import Refusal


@dataclass
class Exchange:
    """What the edge, the batch and the answer share about one request.

    `prefix` starts the ids of its predictions; `refusal` is set by whoever finds that there is no
    answer, and the edge sends it.
    """

    request_id: str
    prefix: str = field(default_factory=lambda: token_hex(12))
    rows: "list[PendingRow]" = field(default_factory=list)
    refusal: Refusal | None = None


class PendingRow(NamedTuple):
    """A validated row that waits for its batch, with the version that validated it."""

    exchange: Exchange
    position: int
    version: LoadedVersion
    values: tuple[Value, ...]
    entity_id: str | None


CURRENT: ContextVar[Exchange] = ContextVar("exchange")
