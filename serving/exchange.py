"""One request on its way through a worker, reachable from whatever handles it."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING

from registry.validation import ValidRow
from serving.errors import Refusal

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion


@dataclass
class Exchange:
    """What the edge, the batch and the answer share about one request.

    `prefix` starts the ids of its predictions; `version` is the one that validated the rows and
    will score them; `refusal` is set by whoever finds that there is no answer.
    """

    request_id: str
    prefix: str = field(default_factory=lambda: token_hex(12))
    version: "LoadedVersion | None" = None
    rows: list[ValidRow] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    refusal: Refusal | None = None

    @property
    def is_scored(self) -> bool:
        """Whether it is answered with scores, and not with a refusal."""
        return bool(self.scores) and self.refusal is None

    def prediction_id(self, position: int) -> str:
        return f"{self.prefix}-{position}"


CURRENT: ContextVar[Exchange] = ContextVar("exchange")
