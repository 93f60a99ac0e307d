"""Scoring a challenger on live rows in the shadow of the champion, after the answer has left.

Nothing that happens here reaches a caller, or /health: a row is scored, dropped or failed, and
counted as that. What cannot be scored or logged is said once for each kind of problem and version;
a full disk that matters degrades the service by the inference log, which has the answers.

Python runs one thread at a time, so a chunk of rows that is scored here delays the requests that
meet it by up to its milliseconds. Few large chunks meet fewer requests than many small ones, so
rows gather for a second. After a chunk the thread rests until its share of time is kept, and stands
back until so many requests have left that those it met are one in `REQUESTS_A_MEETING`, too few to
move the 99th percentile; or until none has come for a second, for then nobody is delayed. So a
worker that is always busy has a sample of its rows scored, and a quiet one all of them. The queue
has no lock, as only the event loop appends and only the thread takes.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from monitoring import metrics
from monitoring.log.writing import InferenceLog, LogWriteError, ScoredRequest
from monitoring.logs import LOGGER, failure
from registry.configuration import ShadowSettings
from registry.validation import InvalidRowsError, Problem, ValidRow, Value
from serving.exchange import Exchange
from serving.predictor import checked
from serving.traffic import Traffic

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

CHUNK_ROWS = 256
"""Rows that are scored and logged in one go; a longer request is scored in several."""
GATHER_SECONDS = 1.0
"""How long rows may gather before a chunk that is not full is scored."""
REQUESTS_A_MEETING = 1000
"""Of so many requests one at most is in flight while a chunk is scored."""
LAST_SECONDS = 1.0
"""What the rows that wait when the service stops may take."""


class Challenged(Protocol):
    """Whoever knows the challenger of the moment, as registry.worker.Worker does."""

    @property
    def challenger(self) -> "LoadedVersion | None": ...


class _Part(NamedTuple):
    """Rows of one request, from `start` on, as the challenger takes them; None where it cannot."""

    exchange: Exchange
    start: int
    rows: Sequence[ValidRow | None]


class Shadow:
    """One worker's queue and the thread that scores it; `offer` is for the event loop alone."""

    def __init__(
        self, worker: Challenged, log: InferenceLog, settings: ShadowSettings, *, traffic: Traffic
    ) -> None:
        self._worker = worker
        self._log = log
        self._settings = settings
        self._traffic = traffic
        self._due = 0  # requests that must have left before the next chunk
        self._came, self._quiet_since = 0, time.monotonic()
        self._waiting: deque[Exchange] = deque()
        self._start = 0  # of the first one that waits, the rows that are taken
        self._offered = self._taken = 0  # rows; each is written by one thread only
        self._told: set[tuple[str, str]] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    @property
    def rows_waiting(self) -> int:
        return self._offered - self._taken

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Score what waits, or drop it where that takes longer than a second."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(2 * LAST_SECONDS)

    def offer(self, exchange: Exchange) -> None:
        """Queue an answered request in constant time, or drop all of it where the queue is full.

        The last one in may overfill it: a queue that took only what fits would score small requests
        and hardly ever a large one.
        """
        challenger, answered = self._worker.challenger, exchange.version
        if challenger is None or answered is None or challenger.version == answered.version:
            return
        rows = len(exchange.rows)
        if self._stopped.is_set() or self.rows_waiting >= self._settings.queue_rows:
            metrics.SHADOW_ROWS.labels("dropped").inc(rows)
            return
        self._offered += rows
        self._waiting.append(exchange)

    def _run(self) -> None:
        rest = GATHER_SECONDS
        while not self._stopped.wait(rest):
            rest = self._turn() if self._is_welcome() else GATHER_SECONDS / 10
        last = time.monotonic() + LAST_SECONDS
        while self.rows_waiting and time.monotonic() < last:
            self._score(self._take())
        metrics.SHADOW_ROWS.labels("dropped").inc(self.rows_waiting)

    def _turn(self) -> float:
        """Score a chunk; for how many seconds to rest."""
        if not self.rows_waiting:
            return GATHER_SECONDS
        began, left = time.monotonic(), self._traffic.left
        self._score(self._take())
        met = self._traffic.came - left
        self._due = self._traffic.left + met * REQUESTS_A_MEETING
        rest = (time.monotonic() - began) * (1 / self._settings.time_share - 1)
        return rest if self.rows_waiting >= CHUNK_ROWS else max(rest, GATHER_SECONDS)

    def _is_welcome(self) -> bool:
        """Whether the last chunk is made up for, or nobody comes."""
        came, now = self._traffic.came, time.monotonic()
        if came != self._came:
            self._came, self._quiet_since = came, now
        return self._traffic.left >= self._due or now - self._quiet_since >= GATHER_SECONDS

    def _take(self) -> list[tuple[Exchange, range]]:
        """The oldest rows, a chunk at most: of which request, and which of its rows."""
        taken: list[tuple[Exchange, range]] = []
        room = CHUNK_ROWS
        while room and self._waiting:
            exchange = self._waiting[0]
            rows = range(self._start, min(self._start + room, len(exchange.rows)))
            taken.append((exchange, rows))
            room -= len(rows)
            self._start = rows.stop
            if self._start == len(exchange.rows):
                self._waiting.popleft()
                self._start = 0
        self._taken += CHUNK_ROWS - room
        return taken

    def _score(self, taken: Sequence[tuple[Exchange, range]]) -> None:
        """Score and log some rows, and count what became of each."""
        rows = sum(len(places) for _, places in taken)
        challenger = self._worker.challenger
        if challenger is None:  # it was taken out of the shadow while they waited
            metrics.SHADOW_ROWS.labels("dropped").inc(rows)
            return
        scored = 0
        try:
            scored = self._log_scores(challenger, taken)
        except LogWriteError as error:
            if self._is_news(challenger, "log"):
                LOGGER.error("scores of the challenger %s: %s", challenger.version, error)
        except Exception as error:  # whatever a challenger does, the champion goes on
            if self._is_news(challenger, type(error).__name__):
                words = f"the challenger {challenger.version} cannot score"
                failure(words, error, taken[0][0].request_id)
        metrics.SHADOW_ROWS.labels("scored").inc(scored)
        metrics.SHADOW_ROWS.labels("failed").inc(rows - scored)

    def _log_scores(
        self, challenger: "LoadedVersion", taken: Sequence[tuple[Exchange, range]]
    ) -> int:
        """How many rows are in the log with their scores.

        Raises:
            LogWriteError: none is.
            Exception: whatever the challenger raises.
        """
        parts = [self._part(challenger, exchange, places) for exchange, places in taken]
        values = [row.values for part in parts for row in part.rows if row is not None]
        if not values:
            return 0
        scores = iter(checked(challenger.scorer.score(values), len(values)).tolist())
        requests = []
        for part in parts:
            fitting = [(n, row) for n, row in enumerate(part.rows, part.start) if row is not None]
            requests.append(
                ScoredRequest(
                    request_id=part.exchange.request_id,
                    prediction_ids=[part.exchange.prediction_id(n) for n, _ in fitting],
                    version=challenger,
                    rows=[row for _, row in fitting],
                    scores=[next(scores) for _ in fitting],
                )
            )
        self._log.append(requests, datetime.now(UTC))
        return len(values)

    def _part(self, challenger: "LoadedVersion", exchange: Exchange, places: range) -> _Part:
        rows = exchange.rows[places.start : places.stop]
        answered = exchange.version
        assert answered is not None, "what was answered has a version"
        if answered.schema_digest == challenger.schema_digest:
            return _Part(exchange, places.start, rows)
        fitted, problem = _fit(rows, answered, challenger)
        if problem is not None and self._is_news(challenger, "contract"):
            words = "the challenger %s cannot take some of the champion's rows: %s (%s)"
            LOGGER.error(words, challenger.version, problem.loc[-1], problem.type)
        return _Part(exchange, places.start, fitted)

    def _is_news(self, challenger: "LoadedVersion", problem: str) -> bool:
        """Whether this is the first time that this version has this problem."""
        known = (challenger.version, problem) in self._told
        self._told.add((challenger.version, problem))
        return not known


def _fit(
    rows: Sequence[ValidRow], answered: "LoadedVersion", challenger: "LoadedVersion"
) -> tuple[list[ValidRow | None], Problem | None]:
    """The rows by the names of the challenger's features, None where its contract refuses one, and
    the first reason for that."""
    wanted = set(challenger.schema.names)
    instances = [
        {
            name: value
            for name, value in zip(answered.schema.names, row.values, strict=True)
            if name in wanted
        }
        for row in rows
    ]
    problem = None
    try:
        valid: list[ValidRow | None] = [*challenger.validator.validate(instances)]
    except InvalidRowsError as error:  # of some: find them
        problem = error.problems[0]
        valid = [_valid(instance, challenger) for instance in instances]
    return [
        None if fitted is None else row._replace(values=fitted.values)
        for row, fitted in zip(rows, valid, strict=True)
    ], problem


def _valid(instance: dict[str, Value], challenger: "LoadedVersion") -> ValidRow | None:
    try:
        return challenger.validator.validate([instance])[0]
    except InvalidRowsError:
        return None
