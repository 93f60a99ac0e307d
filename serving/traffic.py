"""How many requests came to a worker and left it, for whoever must stand back while it is busy."""

from dataclasses import dataclass


@dataclass
class Traffic:
    """Requests for scores that were admitted, and those of them that are done with; written on the
    event loop only."""

    came: int = 0
    left: int = 0

    @property
    def in_flight(self) -> int:
        return self.came - self.left
