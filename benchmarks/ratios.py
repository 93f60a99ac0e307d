"""A ratio that was measured in several rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Ratio:
    """Over the rounds: the median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Ratio":
        """Of one round at least."""
        return cls(median(rounds), min(rounds), max(rounds))
