"""What /metrics shows of ours, summed over the workers by prometheus_client's multiprocess mode."""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram

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
REFUSED = Counter("datathon_refused", "Requests answered with an error, by status", ["status"])
LOG_FAILURES = Counter("datathon_log_failures", "Batches that the inference log could not take")
SHADOW_ROWS = Counter(
    "datathon_shadow_rows",
    "Rows for the challenger, by what became of them: scored, dropped or failed",
    ["result"],
)
GENERATION = Gauge(
    "datathon_champion_generation",
    "Generation that the slowest worker serves",
    multiprocess_mode="livemin",
)

_BESIDE = (ENTITY_FIELD, PERIOD_FIELD)


def count_scores(scores: Sequence[float], threshold: float) -> None:
    """Count the rows of one request."""
    PREDICTIONS.inc(len(scores))
    POSITIVES.inc(sum(score >= threshold for score in scores))
    tenths = Tally(min(int(score * 10), 9) for score in scores)
    for tenth, count in tenths.items():
        SCORES.labels(f"{tenth / 10:.1f}").inc(count)


def count_problems(problems: Iterable[Problem], declared: Sequence[str]) -> None:
    """Count by field; whatever is not declared is `other`, so that no caller can grow a label."""
    for problem in problems:
        field = problem.loc[-1]
        known = isinstance(field, str) and (field in declared or field in _BESIDE)
        VALIDATION_ERRORS.labels(field if known else "other").inc()
