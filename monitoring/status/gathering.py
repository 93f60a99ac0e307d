"""One look at everything: two scrapes, and between them what stands on disk."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult

from monitoring.status import latest, probe, scrape, standing, storage
from monitoring.status.facts import Facts, Health, Settings, Traffic
from monitoring.status.scrape import NotMetricsError, Scrape
from registry import configuration
from registry.errors import RegistryError
from registry.state import State

Wait = Callable[[float], Any]


def gather(state: State, url: SplitResult, *, seconds: float, wait: Wait = time.sleep) -> Facts:
    """Look at the service at `url` and at `state`, counting requests for `seconds`."""
    asked: list[Health] = []
    health = threading.Thread(target=lambda: asked.append(_health(url)), daemon=True)
    health.start()
    began = time.monotonic()
    before, problem = _scrape(url)
    health.join()
    if before is not None and asked[0].http_status is not None:
        wait(max(seconds - (time.monotonic() - began), 0.0))
    after = before
    if before is not None:
        elapsed = time.monotonic() - began
        after, problem = _scrape(url)
    found = Traffic(problem=problem)
    if before is not None and after is not None:
        found = scrape.traffic(before, after, elapsed)
    return Facts(
        now=datetime.now(UTC),
        health=asked[0],
        traffic=found,
        standing=standing.look(state, served=_served(asked[0])),
        drift=latest.drift(state, after),
        performance=latest.performance(state, after),
        storage=storage.look(state, after),
        settings=settings(),
    )


def settings() -> Settings:
    """What configuration.yaml says to the person on call."""
    try:
        found = configuration.load()
    except RegistryError as error:
        return Settings(problem=str(error))
    contacts = tuple((role, str(who).strip()) for role, who in asdict(found.contacts).items())
    return Settings(
        contacts=contacts,
        refresh_seconds=found.watch.refresh_seconds,
        performance_days=found.watch.performance_days,
        label_delay_days=found.performance.label_delay_days,
    )


def _health(url: SplitResult) -> Health:
    answer = probe.get(url, "/health")
    shown = url.geturl()
    if answer.status is None:
        return Health(shown, problem=answer.problem)
    try:
        content = json.loads(answer.body)
        status = content["status"]
        if status not in ("ok", "degraded", "unavailable"):
            raise ValueError
        return Health(
            url=shown,
            http_status=answer.status,
            status=status,
            reason=_typed(content.get("reason"), str),
            version=_typed(content.get("model_version"), str),
            generation=_typed(content.get("generation"), int),
            uptime_seconds=_typed(content.get("uptime_seconds"), float),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        said = " ".join(answer.body[:60].decode(errors="replace").split())
        problem = f"HTTP {answer.status} instead of the service's health: {said!r}"
        return Health(shown, http_status=answer.status, problem=problem)


def _served(health: Health) -> tuple[int, str] | None:
    if health.generation is None or health.version is None:
        return None
    return health.generation, health.version


def _scrape(url: SplitResult) -> tuple[Scrape | None, str | None]:
    answer = probe.get(url, "/metrics")
    if answer.status != 200:
        return None, answer.problem or f"/metrics answered HTTP {answer.status}"
    try:
        return scrape.parse(answer.body.decode(errors="replace")), None
    except NotMetricsError:
        return None, "/metrics is not in Prometheus's format"


def _typed(value: Any, kind: type) -> Any:
    """The value where it has the type; a whole number is a float too, true is no number."""
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else None
