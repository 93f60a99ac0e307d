"""Rows of the bundled cohort in the inference log, written by the log's own writer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitoring.log.writing import EntityKeys, InferenceLog, ScoredRequest
from registry import loaded
from registry.loaded import LoadedVersion

START = datetime(2026, 3, 2, tzinfo=UTC)
SECRET = "a secret of the tests"


def load(home: Path, version: str = "v1.0.0") -> LoadedVersion:
    return loaded.load(home / "models" / "defasagem-risk" / version, version, None, max_rows=1000)


def log_rows(
    home: Path,
    version: LoadedVersion,
    rows: Sequence[Mapping[str, Any]],
    moments: Sequence[datetime],
) -> list[str]:
    """Score the rows and log each at its moment, as the service does; the prediction ids."""
    log = InferenceLog(home / "inference_log", EntityKeys(SECRET))
    valid = version.validator.validate([dict(row) for row in rows])
    scores = version.scorer.score([row.values for row in valid]).tolist()
    ids = [f"{number:024x}-0" for number in range(len(rows))]
    for at, moment in enumerate(moments):
        request = ScoredRequest(f"r-{at}", [ids[at]], version, [valid[at]], [scores[at]])
        log.append([request], moment)
    return ids


def spread(rows: int, days: float, start: datetime = START) -> list[datetime]:
    """Moments evenly over the days."""
    return [start + timedelta(days=days) * (number + 0.5) / rows for number in range(rows)]
