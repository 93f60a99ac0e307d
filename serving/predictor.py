"""What happens to a merged batch: score, log, answer; nobody's failure is anybody else's."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal

import orjson

from monitoring import metrics
from monitoring.log.writing import InferenceLog, LogWriteError, ScoredRequest
from monitoring.logs import LOGGER, failure
from serving.errors import Refusal
from serving.exchange import Exchange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from registry.loaded import LoadedVersion

_NOT_LOGGED = "the inference log cannot be written, and on_log_failure is refuse"


class Predictor:
    """Scores batches for one worker; called by one thread at a time."""

    def __init__(self, log: InferenceLog, *, on_log_failure: Literal["serve", "refuse"]) -> None:
        self._log = log
        self._on_log_failure = on_log_failure

    def predict(self, batch: Sequence[Exchange]) -> None:
        """Give each exchange its scores, logged, or a refusal."""
        metrics.BATCH_ROWS.observe(sum(len(exchange.rows) for exchange in batch))
        for version, exchanges in _by_version(batch):
            self._score(version, exchanges)
        self._append([exchange for exchange in batch if exchange.refusal is None])

    def _score(self, version: "LoadedVersion", exchanges: Sequence[Exchange]) -> None:
        rows = [row.values for exchange in exchanges for row in exchange.rows]
        try:
            scores = iter(checked(version.scorer.score(rows), len(rows)).tolist())
        except Exception as error:
            if len(exchanges) == 1:
                exchange = exchanges[0]
                failure("scoring failed", error, exchange.request_id)
                exchange.refusal = Refusal.of(500)
                return
            # One of the requests makes scoring raise: find it, and answer the others.
            for exchange in exchanges:
                self._score(version, [exchange])
            return
        for exchange in exchanges:
            exchange.scores = list(islice(scores, len(exchange.rows)))

    def _append(self, exchanges: Sequence[Exchange]) -> None:
        """Log before anybody is answered."""
        if not exchanges:
            return
        try:
            self._log.append([_scored(exchange) for exchange in exchanges], datetime.now(UTC))
        except LogWriteError as error:
            metrics.LOG_FAILURES.inc()
            LOGGER.error("%s", error)
            if self._on_log_failure == "refuse":
                for exchange in exchanges:
                    exchange.refusal = Refusal.of(503, _NOT_LOGGED)
                return
        for version, scored in _by_version(exchanges):
            scores = [score for exchange in scored for score in exchange.scores]
            metrics.count_scores(scores, version.threshold)


def answer(exchange: Exchange) -> bytes:
    """The JSON of a scored request, a prediction a row in the order of the rows."""
    version = _version(exchange)
    return orjson.dumps(
        [
            {
                "prediction_id": exchange.prediction_id(position),
                "risk_score": score,
                "risk_label": int(score >= version.threshold),
                "model_version": version.version,
            }
            for position, score in enumerate(exchange.scores)
        ]
    )


def _scored(exchange: Exchange) -> ScoredRequest:
    version = _version(exchange)
    return ScoredRequest(
        request_id=exchange.request_id,
        prediction_ids=[exchange.prediction_id(n) for n in range(len(exchange.rows))],
        version=version,
        rows=exchange.rows,
        scores=exchange.scores,
    )


def _version(exchange: Exchange) -> "LoadedVersion":
    assert exchange.version is not None, "the edge lets no request through without a version"
    return exchange.version


def _by_version(batch: Sequence[Exchange]) -> "list[tuple[LoadedVersion, list[Exchange]]]":
    """Requests by the version that validated them; during a swap a batch may hold two."""
    found: dict[int, tuple[LoadedVersion, list[Exchange]]] = {}
    for exchange in batch:
        version = _version(exchange)
        found.setdefault(id(version), (version, []))[1].append(exchange)
    return list(found.values())


def checked(scores: "NDArray[np.float64]", rows: int) -> "NDArray[np.float64]":
    """Too few scores, or NaN, would leave as somebody's silent 200."""
    if scores.shape != (rows,) or not math.isfinite(scores.sum()):
        raise ValueError(f"the pipeline returned {scores.shape} scores for {rows} rows, or NaN")
    return scores
