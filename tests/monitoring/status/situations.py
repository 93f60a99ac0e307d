"""A service that is well, to be broken in one place by each test."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring.status.facts import (
    Champion,
    Drift,
    Facts,
    Gauges,
    Health,
    Interval,
    Performance,
    Period,
    Rollback,
    Settings,
    Spread,
    Standing,
    Storage,
    Traffic,
    Worker,
)
from monitoring.status.judgement import judge

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
URL = "http://127.0.0.1:8000"


def before(**span: float) -> datetime:
    return NOW - timedelta(**span)


CHAMPION = Champion(
    model="defasagem-risk",
    version="v1.1.0",
    generation=2,
    since=before(days=9),
    action="promote",
    by="ana",
    reason="more precise",
    left="v1.0.0",
    verdict="pass",
)
LATELY = replace(CHAMPION, since=before(minutes=40))
WORKER = Worker(
    name="vm:41",
    version="v1.1.0",
    generation=2,
    resident=("v1.0.0", "v1.1.0"),
    challenger=None,
    problem=None,
    beat_seconds=0.4,
    alive=True,
    up_seconds=800_000.0,
)
HEALTH = Health(URL, 200, "ok", None, "v1.1.0", 2, 800_000.0)
GAUGES = Gauges("1", 2, True, False, 2.1e8, 0.7)
TOTAL = Period(None, requests=50_000.0, predict=Spread(50_000.0, 0.004, 0.009, 0.02))
SAMPLE = Period(1.0, requests=40.0, predict=Spread(40.0, 0.004, 0.009, 0.02))
TRAFFIC = Traffic(total=TOTAL, sample=SAMPLE, sample_seconds=1.0, workers=(GAUGES,))
IDLE = replace(TRAFFIC, sample=None)
STANDING = Standing(
    "/srv/bentoml", champion=CHAMPION, rollback=Rollback("v1.0.0", 1, True), workers=(WORKER,)
)
NEW_STANDING = replace(STANDING, champion=LATELY)
DRIFT = Drift(
    made_at=before(minutes=3), version="v1.1.0", status="green", score="green", next_step="nothing",
    estimated=Interval(0.78, 0.72, 0.84),
)  # fmt: skip
PERFORMANCE = Performance(
    made_at=before(minutes=3), version="v1.1.0", status="green", reason="fine",
    recall=Interval(0.78, 0.72, 0.84), floor=0.70, coverage=0.9, labelled=450,
)  # fmt: skip
STORAGE = Storage(
    day="2026-11-22", day_bytes=1_200_000, newest_row=before(seconds=1), free_bytes=5e10,
    size_bytes=1e11, labels_at=before(days=20),
)  # fmt: skip
SETTINGS = Settings(
    (("on_call", "Ana, +55 11 5555 0100"), ("tech_lead", "Rui"), ("data_team", "#data")), 300.0
)
WELL = Facts(NOW, HEALTH, TRAFFIC, STANDING, DRIFT, PERFORMANCE, STORAGE, SETTINGS)
DOWN = replace(
    WELL,
    health=Health(URL, problem="connection refused"),
    traffic=Traffic(problem="connection refused"),
    standing=replace(STANDING, workers=()),
)


def with_sample(**changes: Any) -> Facts:
    return replace(WELL, traffic=replace(TRAFFIC, sample=replace(SAMPLE, **changes)))


def with_total(**changes: Any) -> Facts:
    return replace(WELL, traffic=replace(IDLE, total=replace(TOTAL, **changes)))


def slow(p95: float, count: float = 40.0) -> Facts:
    return with_sample(predict=Spread(count, p95 / 2, p95, p95))


def with_worker(**changes: Any) -> Facts:
    return replace(WELL, standing=replace(STANDING, workers=(replace(WORKER, **changes),)))


def with_gauges(**changes: Any) -> Facts:
    return replace(WELL, traffic=replace(TRAFFIC, workers=(replace(GAUGES, **changes),)))


def with_standing(**changes: Any) -> Facts:
    return replace(WELL, standing=replace(STANDING, **changes))


def with_health(**changes: Any) -> Facts:
    return replace(WELL, health=replace(HEALTH, **changes))


def with_drift(**changes: Any) -> Facts:
    return replace(WELL, drift=replace(DRIFT, **changes))


def with_performance(**changes: Any) -> Facts:
    return replace(WELL, performance=replace(PERFORMANCE, **changes))


def with_storage(**changes: Any) -> Facts:
    return replace(WELL, storage=replace(STORAGE, **changes))


def assert_is_one_finding(facts: Facts, severity: str, alert: str | None, command: str) -> None:
    """It has that severity, the runbook's section of the alert, and that command first."""
    (finding,) = judge(facts)
    assert (finding.severity, finding.section) == (severity, alert)
    assert finding.commands[0].startswith(command)
    expected = f"docs/runbook.md#{alert.lower()}" if alert else "docs/runbook.md"
    assert finding.runbook == expected
