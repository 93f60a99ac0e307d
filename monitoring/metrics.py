"""What /metrics shows of ours, summed over the workers by prometheus_client's multiprocess mode."""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from prometheus_client import Counter, Gauge, Histogram

from monitoring.routes import PROBES
from registry.schema import ENTITY_FIELD, PERIOD_FIELD
from registry.validation import Problem

PREDICTIONS = Counter("datathon_predictions", "Rows scored")
POSITIVES = Counter("datathon_positives", "Rows scored at or above the threshold")
SCORES = Counter("datathon_scores", "Rows scored, by tenth of the risk score", ["tenth"])
BATCH_ROWS = Histogram(
    "datathon_batch_rows",
    "Rows merged into one batch",
    buckets=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
)
VALIDATION_ERRORS = Counter(
    "datathon_validation_errors",
    "Problems named in refusals, by declared field",
    ["field"],
)
REQUESTS = Counter("datathon_requests", "Requests, by path and status", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "datathon_request_seconds",
    "Seconds from a request's first byte to the end of its answer, by path",
    ["route"],
    buckets=[0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10, 30],
)
ERRORS = Counter("datathon_errors", "Unexpected errors, by type of exception", ["type"])
ERROR_SEEN = Gauge(
    "datathon_error_timestamp_seconds",
    "When an error of this type was last seen",
    ["type"],
    multiprocess_mode="max",
)
LOG_FAILURES = Counter("datathon_log_failures", "Batches that the inference log could not take")
SHADOW_ROWS = Counter(
    "datathon_shadow_rows",
    "Rows for the challenger, by what became of them: scored, dropped or failed",
    ["result"],
)
SWAP_SECONDS = Histogram(
    "datathon_swap_seconds",
    "Changes of version in a worker: seconds from seeing the pointer move to serving",
    buckets=[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
)
WORKER_RESTARTS = Counter(
    "datathon_worker_restarts", "Workers that ended unexpectedly and are back"
)
REFRESH_FAILURES = Counter(
    "datathon_refresh_failures", "Background reports that could not be made or kept"
)
ACCESS_LOG_DROPPED = Counter(
    "datathon_access_log_dropped", "Lines of the access log that nobody took in time"
)


def _of_worker(name: str, meaning: str) -> Gauge:
    """By the worker's number in its server: who takes a dead worker's place takes its series."""
    return Gauge(f"datathon_{name}", meaning, ["worker"], multiprocess_mode="mostrecent")


WORKER_GENERATION = _of_worker(
    "worker_generation", "Generation that this worker serves; 0 is a Bento's own model"
)
WORKER_SERVING = _of_worker("worker_serving", "1 where this worker has a version to serve")
WORKER_DEGRADED = _of_worker("worker_degraded", "1 where /health of this worker is not ok")
WORKER_MEMORY = _of_worker("worker_memory_bytes", "Resident memory of this worker")
MODEL_TRAINED = Gauge(
    "datathon_model_trained_timestamp_seconds",
    "When the version that serves was trained",
    multiprocess_mode="mostrecent",
)

for _status in ("200", "400", "500", "503", "504"):
    REQUESTS.labels("/predict", _status)  # from 0 on: a rate does not see what a series begins with
_TENTHS = [SCORES.labels(f"{tenth / 10:.1f}") for tenth in range(10)]
_BESIDE = (ENTITY_FIELD, PERIOD_FIELD)
ROUTES = ("/predict", "/metadata", *PROBES)
_KNOWN = frozenset({"/", *ROUTES})
_MOST_TYPES = 20
_types: set[str] = set()


def route(path: str) -> str:
    """The path, or `other` for one that the service does not have: any caller may make one up."""
    return path if path in _KNOWN else "other"


def count_request(route: str, status: int, seconds: float) -> None:
    """Count an answer."""
    requests, took = _of_request(route, status)
    requests.inc()
    took.observe(seconds)


@cache
def _of_request(route: str, status: int) -> tuple[Counter, Histogram]:
    """The series of an answer: to look them up by their labels takes as long as to count."""
    return REQUESTS.labels(route, str(status)), REQUEST_SECONDS.labels(route)


def count_error(error: BaseException) -> None:
    """Count an unexpected error by its type; the types after the first twenty are `other`."""
    kind = type(error).__name__
    if kind not in _types and len(_types) >= _MOST_TYPES:
        kind = "other"
    _types.add(kind)
    ERRORS.labels(kind).inc()
    ERROR_SEEN.labels(kind).set_to_current_time()


def count_scores(scores: Sequence[float], threshold: float) -> None:
    """Count the rows that one version has scored."""
    values = np.asarray(scores)
    PREDICTIONS.inc(len(scores))
    POSITIVES.inc(int(np.count_nonzero(values >= threshold)))
    counts = np.bincount(np.minimum((values * 10).astype(np.int64), 9)).tolist()
    for tenth, count in zip(_TENTHS, counts, strict=False):
        if count:
            tenth.inc(count)


def count_problems(problems: Iterable[Problem], declared: Sequence[str]) -> None:
    """Count by field; whatever is not declared is `other`, so that no caller can grow a label."""
    for problem in problems:
        field = problem.loc[-1]
        known = isinstance(field, str) and (field in declared or field in _BESIDE)
        VALIDATION_ERRORS.labels(field if known else "other").inc()
