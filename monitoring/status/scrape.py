"""/metrics as numbers: totals since the start, and what came in between two scrapes. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from monitoring.routes import PROBES
from monitoring.status.facts import ErrorGroup, Gauges, Period, Spread, Traffic

Labels = frozenset[tuple[str, str]]


class NotMetricsError(ValueError):
    """A text that is no Prometheus exposition."""


@dataclass(frozen=True)
class Scrape:
    """Finite values by name and labels."""

    values: Mapping[str, Mapping[Labels, float]]

    def series(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        return ((dict(labels), value) for labels, value in self.values.get(name, {}).items())

    def total(self, name: str, **labels: str) -> float:
        """The sum over the series that have these labels."""
        return sum(v for own, v in self.series(name) if labels.items() <= own.items())

    def value(self, name: str, **labels: str) -> float | None:
        """The largest of the series that have these labels; None where there is none."""
        found = [v for own, v in self.series(name) if labels.items() <= own.items()]
        return max(found, default=None)

    def moment(self, name: str, **labels: str) -> datetime | None:
        """The value as a time; None where there is none, and for 0 and what is no time."""
        seconds = self.value(name, **labels)
        if not seconds:
            return None
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None


def parse(text: str) -> Scrape:
    """Read an exposition.

    Raises:
        NotMetricsError: it is none.
    """
    values: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    labels = frozenset(sample.labels.items())
                    values.setdefault(sample.name, {})[labels] = sample.value
    except (ValueError, IndexError) as error:  # IndexError: the parser's own on a cut line
        raise NotMetricsError(str(error)) from error
    return Scrape(values)


def since(before: Scrape, after: Scrape) -> Scrape:
    """What counters grew by; one that is lower than before began anew, as in Prometheus."""
    grown: dict[str, dict[Labels, float]] = {}
    for name, series in after.values.items():
        known = before.values.get(name, {})
        for labels, value in series.items():
            start = known.get(labels, 0.0)
            grown.setdefault(name, {})[labels] = value - start if value >= start else value
    return Scrape(grown)


def traffic(before: Scrape, after: Scrape, seconds: float) -> Traffic:
    """Two scrapes that lie `seconds` apart."""
    grown = since(before, after)
    sample = period(grown, seconds)
    return Traffic(
        total=period(after, None),
        sample=sample if sample.requests else None,
        sample_seconds=seconds,
        errors=tuple(_errors(after, grown)),
        workers=workers(after),
    )


def period(counters: Scrape, seconds: float | None) -> Period:
    """The figures of one stretch of time."""
    counted = [
        (labels.get("status", ""), value)
        for labels, value in counters.series("datathon_requests_total")
        if labels.get("route") not in PROBES
    ]
    return Period(
        seconds=seconds,
        requests=sum(value for _, value in counted),
        server_errors=sum(value for status, value in counted if status.startswith("5")),
        client_errors=sum(value for status, value in counted if status.startswith("4")),
        log_failures=counters.total("datathon_log_failures_total"),
        restarts=counters.total("datathon_worker_restarts_total"),
        predict=spread(counters, "datathon_request_seconds", route="/predict"),
        batches=spread(counters, "datathon_batch_rows"),
    )


def spread(counters: Scrape, name: str, **labels: str) -> Spread | None:
    """Quantiles of a histogram; None where it counted nothing."""
    buckets: dict[float, float] = {}
    for own, value in counters.series(f"{name}_bucket"):
        if labels.items() <= own.items():
            try:
                bound = float(own.get("le", ""))
            except ValueError:
                continue
            buckets[bound] = buckets.get(bound, 0.0) + value
    ordered = sorted(buckets.items())
    if not ordered or not math.isinf(ordered[-1][0]) or ordered[-1][1] <= 0:
        return None
    p50, p95, p99 = (quantile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Spread(ordered[-1][1], p50, p95, p99)


def quantile(buckets: list[tuple[float, float]], share: float) -> float:
    """Of cumulative buckets by upper bound, the last of them +Inf: straight between two bounds, and
    the last finite bound for what lies above it, as Prometheus's histogram_quantile."""
    rank = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            return (
                low if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below)
            )
        low, below = bound if math.isfinite(bound) else low, count
    return low


def workers(scraped: Scrape) -> tuple[Gauges, ...]:
    """The gauges that each worker sets, by its number."""
    names = {
        labels["worker"]
        for name in scraped.values
        if name.startswith("datathon_worker_")
        for labels, _ in scraped.series(name)
        if "worker" in labels
    }
    return tuple(_gauges(scraped, name) for name in sorted(names, key=lambda n: (len(n), n)))


def _gauges(scraped: Scrape, worker: str) -> Gauges:
    generation = scraped.value("datathon_worker_generation", worker=worker)
    serving = scraped.value("datathon_worker_serving", worker=worker)
    degraded = scraped.value("datathon_worker_degraded", worker=worker)
    return Gauges(
        worker=worker,
        generation=None if generation is None else int(generation),
        serving=None if serving is None else bool(serving),
        degraded=None if degraded is None else bool(degraded),
        memory_bytes=scraped.value("datathon_worker_memory_bytes", worker=worker),
        beat_seconds=scraped.value("datathon_worker_beat_age_seconds", worker=worker),
    )


def _errors(after: Scrape, grown: Scrape) -> Iterator[ErrorGroup]:
    """Statuses first, then exceptions, the commonest of each first."""
    statuses: dict[str, list[float]] = {}
    for labels, value in after.series("datathon_requests_total"):
        status, route = labels.get("status", ""), labels.get("route", "")
        if status.startswith("5") and route not in PROBES and value:
            recent = grown.total("datathon_requests_total", status=status, route=route)
            counts = statuses.setdefault(status, [0.0, 0.0])
            counts[0], counts[1] = counts[0] + value, counts[1] + recent
    for status, (count, recent) in sorted(statuses.items(), key=lambda one: -one[1][0]):
        yield ErrorGroup("status", status, count, recent)
    exceptions = [(o.get("type", ""), v) for o, v in after.series("datathon_errors_total") if v]
    for name, count in sorted(exceptions, key=lambda one: -one[1]):
        recent = grown.total("datathon_errors_total", type=name)
        seen = after.moment("datathon_error_timestamp_seconds", type=name)
        yield ErrorGroup("exception", name, count, recent, seen)
