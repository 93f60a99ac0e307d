"""What happens to a merged batch: score, log, answer; nobody's failure is anybody else's."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monitoring import metrics
from monitoring.inference_log import InferenceLog, LogWriteError, Scored
from monitoring.logs import LOGGER
from registry.loaded import LoadedVersion
from serving.errors import Refusal
from serving.exchange import PendingRow

Answer = dict[str, Any]
_NOT_LOGGED = "the inference log cannot be written, and on_log_failure is refuse"


class Predictor:
    """Scores batches for one worker; called by one thread at a time."""

    def __init__(self, log: InferenceLog, *, on_log_failure: Literal["serve", "refuse"]) -> None:
        self._log = log
        self._on_log_failure = on_log_failure

    def predict(self, batch: Sequence[PendingRow]) -> list[Answer]:
        """Answers in the order of `batch`; a row whose request failed gets an empty one, and its
        exchange a refusal."""
        scored: list[Scored] = []
        for version, rows in _runs_of_one_version(batch):
            scored += self._score(version, rows)
        if not self._append(scored):
            for row in batch:
                row.exchange.refusal = row.exchange.refusal or Refusal.of(503, _NOT_LOGGED)
        by_id = {row.prediction_id: row for row in scored}
        return [_answer(by_id.get(_prediction_id(row))) for row in batch]

    def _score(self, version: LoadedVersion, rows: list[PendingRow]) -> list[Scored]:
        try:
            scores = _checked(version.scorer.score([row.values for row in rows]), len(rows))
        except Exception:
            exchanges = {id(row.exchange): row.exchange for row in rows}
            if len(exchanges) == 1:
                LOGGER.exception(
                    "scoring failed", extra={"request_id": rows[0].exchange.request_id}
                )
                rows[0].exchange.refusal = Refusal.of(500)
                return []
            # One of the requests makes scoring raise: find it, and answer the others.
            return [
                scored
                for _, own in groupby(rows, key=lambda row: id(row.exchange))
                for scored in self._score(version, list(own))
            ]
        return [
            Scored(
                prediction_id=_prediction_id(row),
                request_id=row.exchange.request_id,
                version=version,
                values=row.values,
                entity_id=row.entity_id,
                score=score,
                label=int(score >= version.threshold),
            )
            for row, score in zip(rows, scores.tolist(), strict=True)
        ]

    def _append(self, scored: list[Scored]) -> bool:
        """Log before anybody is answered; False where an answer without a log is not wanted."""
        if not scored:
            return True
        try:
            self._log.append(scored, datetime.now(UTC))
        except LogWriteError as error:
            metrics.LOG_FAILURES.inc()
            LOGGER.error("%s", error)
            if self._on_log_failure == "refuse":
                return False
        metrics.count_scores([row.score for row in scored], sum(row.label for row in scored))
        return True


def _runs_of_one_version(
    batch: Sequence[PendingRow],
) -> list[tuple[LoadedVersion, list[PendingRow]]]:
    """Rows grouped by the version that validated them; during a swap a batch may hold two."""
    runs: dict[int, tuple[LoadedVersion, list[PendingRow]]] = {}
    for row in batch:
        runs.setdefault(id(row.version), (row.version, []))[1].append(row)
    return list(runs.values())


def _checked(scores: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Too few scores, or NaN, would leave as somebody's silent 200."""
    if scores.shape != (rows,) or not np.isfinite(scores).all():
        raise ValueError(f"the pipeline returned {scores.shape} scores for {rows} rows, or NaN")
    return scores


def _prediction_id(row: PendingRow) -> str:
    return f"{row.exchange.prefix}-{row.position}"


def _answer(row: Scored | None) -> Answer:
    if row is None:
        return {}
    return {
        "prediction_id": row.prediction_id,
        "risk_score": row.score,
        "risk_label": row.label,
        "model_version": row.version.version,
    }
