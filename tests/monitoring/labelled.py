"""Rows of a given recall in a log by the log's own writer, and their labels as lines of a file."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from monitoring.log.writing import EntityKeys, InferenceLog, ScoredRequest
from registry import loaded
from registry.loaded import LoadedVersion
from registry.state import State
from registry.validation import ValidRow
from tests.artefacts import MODEL

SECRET = "a secret of the tests"
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
START = TODAY - timedelta(days=120)
OBSERVED = START + timedelta(days=60)


class Stream:
    """Rows of which `recall` of the positives and a fifth of the negatives are flagged."""

    def __init__(self, rows: int, *, recall: float = 0.85, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.target = (rng.random(rows) < 0.45).astype(int)
        # Evenly, so that the recall is what it is called.
        turn = np.where(self.target == 1, np.cumsum(self.target), 0)
        caught = (turn * 37 % 100 + 0.5) / 100 < recall
        self.flags = np.where(self.target == 1, caught, rng.random(rows) < 0.2)
        self.luck = rng.random(rows)
        self.schools = rng.choice(["public", "private", ""], rows)
        self.days = np.sort(rng.integers(0, 28, rows))

    def log(
        self,
        state: State,
        *,
        name: str = "p",
        version: str = "v1.0.0",
        entities: Sequence[str] | None = None,
        period: int | None = None,
    ) -> list[str]:
        """Log the rows, all of a day as one request; their prediction ids."""
        folder = state.models / MODEL / "v1.0.0"
        ready = replace(loaded.load(folder, "v1.0.0", None, max_rows=1), version=version)
        log = InferenceLog(state.inference_log, EntityKeys(SECRET))
        scores = self.scores(ready)
        ids = [f"{name}-{row}" for row in range(len(self.target))]
        for day in np.unique(self.days).tolist():
            rows = np.flatnonzero(self.days == day).tolist()
            valid = [
                ValidRow(
                    (10, 5.0, self.schools[row] or None),
                    None if entities is None else entities[row],
                    period,
                )
                for row in rows
            ]
            request = ScoredRequest(
                f"{name}-{day}", [ids[r] for r in rows], ready, valid, [scores[r] for r in rows]
            )
            log.append([request], START + timedelta(days=day))
        return ids

    def scores(self, version: LoadedVersion) -> list[float]:
        cut = version.threshold
        found = np.where(self.flags, cut + (1 - cut) * self.luck, cut * self.luck)
        return [float(score) for score in found]


def by_id(ids: Sequence[str], target: Sequence[int], when: datetime = OBSERVED) -> list[str]:
    rows = zip(ids, target, strict=True)
    return ["prediction_id,label,observed_at"] + [f"{i},{y},{when.isoformat()}" for i, y in rows]
