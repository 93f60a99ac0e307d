"""The newest background reports: from reports/latest, else from what /metrics has of them."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from monitoring.status.facts import Drift, Interval, Performance
from monitoring.status.scrape import Scrape
from registry.state import State

_T = TypeVar("_T", Drift, Performance)
_STATUSES = ("green", "yellow", "red", "inconclusive")  # in the order of their numbers
_MOST_BYTES = 64 * 1024 * 1024
_FAILING = "datathon_report_failing_timestamp_seconds"
_METRICS = "/metrics"
_DAY = 86_400


def drift(state: State, scraped: Scrape | None) -> Drift:
    """What is known of drift."""
    found = _read(state.latest_reports / "drift.json", _drift, Drift)
    return found if found.made_at or scraped is None else _measured_drift(scraped, found)


def performance(state: State, scraped: Scrape | None) -> Performance:
    """What is known of recall."""
    found = _read(state.latest_reports / "performance.json", _performance, Performance)
    return found if found.made_at or scraped is None else _measured_performance(scraped, found)


def _read(path: Path, make: Callable[[Mapping[str, Any]], _T], kind: type[_T]) -> _T:
    """A document of docs/reports.md, or the one line that stands for it."""
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_MOST_BYTES))
        if "problem" in content:
            return kind(
                made_at=_moment(content["made_at"]),
                problem=str(content["problem"]),
                failing_since=_failing_since(content),
            )
        return make(content)
    except FileNotFoundError:
        return kind(problem="no background report yet")
    except OSError as error:
        return kind(problem=f"{path}: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return kind(problem=f"{path}: not a report")


def _drift(content: Mapping[str, Any]) -> Drift:
    statuses = {one["name"]: one["status"] for one in content["features"]}
    since = [_moment(cause["since"]) for cause in content["causes"] if cause["since"]]
    return Drift(
        made_at=_moment(content["made_at"]),
        version=str(content["model_version"]),
        status=_status(content["status"]),
        red=_named(statuses, "red"),
        yellow=_named(statuses, "yellow"),
        score=_status(content["score"]["status"]),
        since=min(since, default=None),
        next_step=str(content["next_step"]),
        estimated=_estimated(content),
    )


def _performance(content: Mapping[str, Any]) -> Performance:
    labels = content["labels"]
    return Performance(
        made_at=_moment(content["made_at"]),
        version=str(content["model_version"]),
        status=_status(content["status"]),
        reason=str(content["reason"]),
        recall=_interval(content["metrics"]["recall"]),
        floor=_number(content["recall_floor"]),
        coverage=_number(labels["coverage"]),
        labelled=int(labels["labelled"]),
        overdue_days=_number(labels.get("overdue_days")),  # an earlier release had none
        estimated=_estimated(content),
    )


def _measured_drift(scraped: Scrape, otherwise: Drift) -> Drift:
    made_at = scraped.moment("datathon_report_timestamp_seconds", kind="drift")
    if made_at is None:
        return replace(otherwise, failing_since=scraped.moment(_FAILING, kind="drift"))
    statuses = {
        labels.get("feature", ""): _coded(value)
        for labels, value in scraped.series("datathon_drift_status")
    }
    score = statuses.pop("score", None)
    return Drift(
        made_at=made_at,
        version=_version(scraped, "drift"),
        status=_coded(scraped.value("datathon_report_status", kind="drift")),
        red=_named(statuses, "red"),
        yellow=_named(statuses, "yellow"),
        score=score,
        estimated=_measured(scraped, "datathon_estimated_recall", "drift"),
        source=_METRICS,
    )


def _measured_performance(scraped: Scrape, otherwise: Performance) -> Performance:
    made_at = scraped.moment("datathon_report_timestamp_seconds", kind="performance")
    if made_at is None:
        return replace(otherwise, failing_since=scraped.moment(_FAILING, kind="performance"))
    labelled = scraped.value("datathon_labelled_rows", kind="performance")
    overdue = scraped.value("datathon_label_overdue_seconds", kind="performance")
    return Performance(
        made_at=made_at,
        version=_version(scraped, "performance"),
        status=_coded(scraped.value("datathon_report_status", kind="performance")),
        recall=_measured(scraped, "datathon_recall", "performance"),
        floor=scraped.value("datathon_recall_floor", kind="performance"),
        coverage=scraped.value("datathon_label_coverage", kind="performance"),
        labelled=None if labelled is None else int(labelled),
        overdue_days=None if overdue is None else overdue / _DAY,
        estimated=_measured(scraped, "datathon_estimated_recall", "performance"),
        source=_METRICS,
    )


def _measured(scraped: Scrape, name: str, kind: str) -> Interval | None:
    value = scraped.value(name, kind=kind)
    if value is None:
        return None
    low, high = (scraped.value(f"{name}_{end}", kind=kind) for end in ("low", "high"))
    return Interval(value, low, high)


def _failing_since(content: Mapping[str, Any]) -> datetime | None:
    """None where there is nothing to report on yet."""
    if content.get("expected", True):
        return None
    return _moment(content.get("failing_since") or content["made_at"])


def _version(scraped: Scrape, kind: str) -> str | None:
    series = scraped.series("datathon_report_timestamp_seconds")
    found = [labels.get("model_version") for labels, _ in series if labels.get("kind") == kind]
    return found[0] if found else None


def _estimated(content: Mapping[str, Any]) -> Interval | None:
    estimate = content["estimate"]
    return None if estimate is None else _interval(estimate["metrics"]["recall"])


def _interval(content: Mapping[str, Any]) -> Interval | None:
    value = _number(content["value"])
    low, high = _number(content["low"]), _number(content["high"])
    return None if value is None else Interval(value, low, high)


def _number(value: Any) -> float | None:
    """A finite number, or None for null.

    Raises:
        TypeError, ValueError: it is neither.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _status(value: Any) -> str:
    if value not in _STATUSES:
        raise ValueError
    return str(value)


def _coded(value: float | None) -> str | None:
    return _STATUSES[int(value)] if value is not None and value in range(4) else None


def _named(statuses: Mapping[str, str | None], wanted: str) -> tuple[str, ...]:
    return tuple(str(name) for name, status in statuses.items() if status == wanted)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
