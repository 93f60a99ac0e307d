"""What was seen of a service at one moment, before anybody judges it. None is what is not known."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from registry.configuration import PerformanceSettings, WatchSettings


@dataclass(frozen=True)
class Health:
    """What GET /health said. `http_status` is None where nothing answered, `status` where the
    answer was not the service's; `problem` says either in words."""

    url: str
    http_status: int | None = None
    status: str | None = None
    reason: str | None = None
    version: str | None = None
    generation: int | None = None
    uptime_seconds: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Spread:
    """Quantiles of a histogram, of `count` observations."""

    count: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Period:
    """What the counters say of the sample's `seconds`, or since the start (None). Requests are all
    but probes; `predict` is in seconds, `batches` in rows."""

    seconds: float | None
    requests: float = 0.0
    server_errors: float = 0.0
    client_errors: float = 0.0
    log_failures: float = 0.0
    restarts: float = 0.0
    predict: Spread | None = None
    batches: Spread | None = None

    @property
    def error_share(self) -> float:
        return self.server_errors / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class ErrorGroup:
    """Failures of one kind: a status of 500 and above, or a type of exception."""

    kind: str
    name: str
    count: float
    in_sample: float
    last_seen: datetime | None = None


@dataclass(frozen=True)
class Gauges:
    """One worker as /metrics has it; `beat_seconds` ago it gave its last sign of life."""

    worker: str
    generation: int | None = None
    serving: bool | None = None
    degraded: bool | None = None
    memory_bytes: float | None = None
    beat_seconds: float | None = None


@dataclass(frozen=True)
class Traffic:
    """/metrics; `problem` says why it could not be read. `sample` is None where nothing came in
    while the sample lasted."""

    problem: str | None = None
    total: Period | None = None
    sample: Period | None = None
    sample_seconds: float = 0.0
    errors: tuple[ErrorGroup, ...] = ()
    workers: tuple[Gauges, ...] = ()


@dataclass(frozen=True)
class Worker:
    """One worker by its heartbeat in the state. `beat_seconds` ago it wrote it; `up_seconds` is how
    long its process has run, where that can be seen from here."""

    name: str
    version: str | None
    generation: int | None
    resident: tuple[str, ...]
    challenger: str | None
    problem: str | None
    beat_seconds: float
    alive: bool
    up_seconds: float | None = None


@dataclass(frozen=True)
class Champion:
    """The last move of the pointer; `registered` is whether its version is in the model store."""

    model: str
    version: str
    generation: int
    since: datetime
    action: str
    by: str | None
    reason: str | None
    left: str | None
    verdict: str | None = None
    registered: bool = True


@dataclass(frozen=True)
class Rollback:
    """Where `registry rollback` would go, and how many of the live workers have it in memory."""

    version: str
    resident: int
    registered: bool
    further: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """The registry. `pointer_problem` says that champion.json is lost (then `champion` is the
    history's last), `history_problem` the same of the history, `problem` of all of it. `full` is
    whether its disk takes no heartbeat any more, `never_had` whether the service serves what this
    registry never had."""

    home: str
    exists: bool = True
    champion: Champion | None = None
    rollback: Rollback | None = None
    workers: tuple[Worker, ...] = ()
    pointer_problem: str | None = None
    history_problem: str | None = None
    problem: str | None = None
    full: bool = False
    never_had: bool = False

    @property
    def alive(self) -> tuple[Worker, ...]:
        return tuple(worker for worker in self.workers if worker.alive)


@dataclass(frozen=True)
class Interval:
    """A metric and its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Drift:
    """The newest background drift report; `problem` says why it has no status, `failing_since`
    since when there should be one and is none."""

    made_at: datetime | None = None
    version: str | None = None
    status: str | None = None
    red: tuple[str, ...] = ()
    yellow: tuple[str, ...] = ()
    score: str | None = None
    since: datetime | None = None
    next_step: str | None = None
    estimated: Interval | None = None
    problem: str | None = None
    failing_since: datetime | None = None
    source: str = "reports/latest"


@dataclass(frozen=True)
class Performance:
    """The newest background performance report; `problem` and `failing_since` as of drift. So
    many days after an import of labels the next one is overdue (`overdue_days`)."""

    made_at: datetime | None = None
    version: str | None = None
    status: str | None = None
    reason: str | None = None
    recall: Interval | None = None
    floor: float | None = None
    coverage: float | None = None
    labelled: int | None = None
    overdue_days: float | None = None
    estimated: Interval | None = None
    problem: str | None = None
    failing_since: datetime | None = None
    source: str = "reports/latest"


@dataclass(frozen=True)
class Storage:
    """The inference log's newest row and newest day, the disk that holds it, and when labels were
    last imported; `free_bytes` is the least of what this command and the service see."""

    day: str | None = None
    day_bytes: int = 0
    newest_row: datetime | None = None
    free_bytes: float | None = None
    size_bytes: float | None = None
    labels_at: datetime | None = None
    problem: str | None = None

    @property
    def free_share(self) -> float | None:
        if self.free_bytes is None or not self.size_bytes:
            return None
        return self.free_bytes / self.size_bytes


@dataclass(frozen=True)
class Settings:
    """What configuration.yaml says of contacts, by role, of the background reports, and of when
    labels are due; days are the usual ones where it cannot be read."""

    contacts: tuple[tuple[str, str], ...] = ()
    refresh_seconds: float | None = None
    performance_days: float = WatchSettings.performance_days
    label_delay_days: int = PerformanceSettings.label_delay_days
    problem: str | None = None

    @property
    def overdue_days(self) -> float:
        """`Performance.overdue_days`, as the next report will have it."""
        from monitoring.performance.label_checks import OVERDUE_DAYS  # scipy: a third of a second

        return self.label_delay_days + OVERDUE_DAYS


@dataclass(frozen=True)
class Facts:
    """All of it at `now`."""

    now: datetime
    health: Health
    traffic: Traffic = field(default_factory=Traffic)
    standing: Standing = field(default_factory=lambda: Standing(""))
    drift: Drift = field(default_factory=Drift)
    performance: Performance = field(default_factory=Performance)
    storage: Storage = field(default_factory=Storage)
    settings: Settings = field(default_factory=Settings)

    def age(self, moment: datetime) -> timedelta:
        return self.now - moment
