"""What the services show, as promtool's input series, and which alerts must fire on it.

A case is a healthy service and what differs. Values are in promtool's notation: `1+0x9` is ten
times 1, `0+15x9` grows by 15 a sample, `_` is a scrape that failed; `xN` is for as long as the case
takes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

A, B = "a:8000", "b:8000"
PREDICT_200 = 'datathon_requests_total{route="/predict",status="200"}'
PREDICT_400 = 'datathon_requests_total{route="/predict",status="400"}'
PREDICT_500 = 'datathon_requests_total{route="/predict",status="500"}'
METRICS_200 = 'datathon_requests_total{route="/metrics",status="200"}'
READYZ_503 = 'datathon_requests_total{route="/readyz",status="503"}'
BUCKET = 'datathon_request_seconds_bucket{route="/predict",le="%s"}'
DRIFT = 'datathon_drift_status{kind="drift",feature="%s"}'
FREE = "datathon_log_disk_free_bytes"
PREDICTIONS = "datathon_predictions_total"
COVERAGE = 'datathon_label_coverage{kind="performance"}'
LABELS_AT = "datathon_label_timestamp_seconds"
OVERDUE = 'datathon_label_overdue_seconds{kind="performance"}'
RECALL = 'datathon_recall{kind="performance"}'
RECALL_HIGH = 'datathon_recall_high{kind="performance"}'
ESTIMATED = 'datathon_estimated_recall{kind="drift"}'
ESTIMATED_HIGH = 'datathon_estimated_recall_high{kind="drift"}'
FLOOR = 'datathon_recall_floor{kind="performance"}'
STATUS = 'datathon_report_status{kind="performance"}'
DRIFT_STATUS = 'datathon_report_status{kind="drift"}'
FAILING = 'datathon_report_failing_timestamp_seconds{kind="%s"}'
REFRESH_FAILURES = "datathon_refresh_failures_total"
MADE = 'datathon_report_timestamp_seconds{kind="%s"}'
SERVING = 'datathon_worker_serving{worker="%d"}'
DEGRADED = 'datathon_worker_degraded{worker="%d"}'
GENERATION = 'datathon_worker_generation{worker="%d"}'
BEAT_AGE = 'datathon_worker_beat_age_seconds{worker="%d"}'
CHAMPION = "datathon_champion_generation"
RESTARTS = "datathon_worker_restarts_total"
LOG_FAILURES = "datathon_log_failures_total"

Series = Mapping[str, str | None]


def always(value: float) -> str:
    return growing(0, value)


def growing(step: float, start: float = 0) -> str:
    return f"{start}{step:+}xN"


def until(samples: int, first: str, then: str) -> str:
    """`first` for some samples, then `then`; each is written without its count."""
    return f"{first}x{samples - 1} {then}xN"


def healthy(step: int) -> dict[str, str | None]:
    """One service with traffic, labels and reports, scraped every `step` seconds."""
    series = {
        "up": always(1),
        PREDICT_200: growing(step),
        METRICS_200: growing(1),
        PREDICTIONS: growing(step),
        CHAMPION: always(3),
        RESTARTS: always(0),
        LOG_FAILURES: always(0),
        REFRESH_FAILURES: always(0),
        FREE: always(50e9),
        "datathon_log_disk_size_bytes": always(100e9),
        RECALL: always(0.8),
        RECALL_HIGH: always(0.85),
        FLOOR: always(0.7),
        ESTIMATED: always(0.8),
        ESTIMATED_HIGH: always(0.85),
        STATUS: always(0),
        DRIFT_STATUS: always(0),
        COVERAGE: always(0.9),
        LABELS_AT: always(0),
        OVERDUE: always(120 * 86400),
    }
    series |= {BUCKET % le: growing(step) for le in ("0.3", "0.4", "0.5", "0.75", "+Inf")}
    series |= {DRIFT % name: always(0) for name in ("score", "idade", "inde")}
    series |= {MADE % kind: growing(step) for kind in ("drift", "performance")}
    for worker in (0, 1):
        series[SERVING % worker] = always(1)
        series[DEGRADED % worker] = always(0)
        series[GENERATION % worker] = always(3)
        series[BEAT_AGE % worker] = always(0.4)
    return dict(series)


def silent(step: int) -> dict[str, str | None]:
    """One that nobody ever called: no reports, no labels, no series of /predict."""
    kept = (
        *("up", "datathon_worker", CHAMPION, LOG_FAILURES, REFRESH_FAILURES),
        *("datathon_log_disk", METRICS_200),
    )
    quiet = {name: values for name, values in healthy(step).items() if name.startswith(kept)}
    return quiet | {PREDICTIONS: always(0)}


@dataclass(frozen=True)
class Case:
    """At `at`, exactly `firing` fire. `other` is a second service on the same state."""

    what: str
    at: str
    firing: set[str]
    change: Series
    other: Series | None = None
    step: int = 15
    base: Callable[[int], dict[str, str | None]] = field(default=healthy)

    def series(self) -> dict[str, str]:
        """promtool's input series, by name with all labels."""
        samples = f"x{_seconds(self.at) // self.step}"
        services = {A: self.change} | ({} if self.other is None else {B: self.other})
        return {
            _labelled(name, instance): values.replace("xN", samples)
            for instance, change in services.items()
            for name, values in (self.base(self.step) | dict(change)).items()
            if values is not None
        }


def _seconds(at: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", at))


def _labelled(name: str, instance: str) -> str:
    family, brace, labels = name.partition("{")
    return f'{family}{{job="datathon-api",instance="{instance}"' + ("," if brace else "}") + labels
