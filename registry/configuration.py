"""configuration.yaml, parsed once into frozen dataclasses; an unknown key is an error that names
the nearest known one."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from registry import expressions
from registry.errors import ConfigurationError, UsageError
from registry.schema import ENTITY_FIELD, LARGEST, PERIOD_FIELD, SCORE_NAME, Feature, Range, Schema
from registry.sections import build, mapping, nearest, read, refuse_unknown
from registry.state import PROJECT
from registry.versions import check_model_name

DEFAULT_FILE = PROJECT / "configuration.yaml"
FILE_VARIABLE = "DATATHON_CONFIGURATION"
CANDIDATES = ("logistic_regression", "random_forest", "hist_gradient_boosting")


@dataclass(frozen=True)
class ModelSettings:
    """What is predicted, and which columns say when and about whom."""

    name: str
    target: str
    time_column: str | None = None
    entity_column: str | None = None


@dataclass(frozen=True)
class TrainingSettings:
    """How a version is made; shares and limits are fractions of 1."""

    seed: int = 0
    candidates: tuple[str, ...] = CANDIDATES
    folds: int = 5
    repeats: int = 2
    calibration: Literal["sigmoid", "isotonic"] = "sigmoid"
    threshold_rule: Literal["recall", "capacity"] = "recall"
    target_recall: float = 0.75
    capacity_share: float = 0.30
    bootstrap_resamples: int = 1000
    leakage_auc: float = 0.99


@dataclass(frozen=True)
class ServingSettings:
    """Limits of the HTTP service."""

    max_rows: int = 1000
    max_body_bytes: int = 4 * 1024 * 1024
    timeout_seconds: float = 30.0
    max_concurrency: int = 256
    poll_ms: int = 50
    on_log_failure: Literal["serve", "refuse"] = "serve"
    access_log: bool = True


@dataclass(frozen=True)
class DriftLimits:
    """PSI above what noise alone gives, the Benjamini-Hochberg q that a colour needs, the entities
    below which no colour is given, and the coded reference rows that a version keeps."""

    yellow: float = 0.10
    red: float = 0.25
    max_q: float = 0.05
    min_rows: int = 20
    reference_rows: int = 1000


@dataclass(frozen=True)
class PerformanceSettings:
    """What recall must reach, when labels are due, and the period of a row that sent none."""

    recall_floor: float = 0.70
    label_delay_days: int = 90
    label_period: Literal["year", "month", "day"] = "year"


@dataclass(frozen=True)
class LogSettings:
    """The inference log's own care."""

    retention_days: int = 180


@dataclass(frozen=True)
class GuardrailSettings:
    """How much worse than the champion a challenger may be on the same held-out rows, in points (a
    hundredth of 1); `confidence` is that of the interval of each difference, two-sided."""

    recall_drop_points: float = 2.0
    precision_drop_points: float = 5.0
    calibration_rise_points: float = 3.0
    segment_recall_drop_points: float = 10.0
    min_positives: int = 30
    confidence: float = 0.90
    resamples: int = 2000


@dataclass(frozen=True)
class ShadowSettings:
    """What scoring a challenger beside the champion may take: rows that wait in one worker, and the
    share of its time."""

    queue_rows: int = 5000
    time_share: float = 0.05


@dataclass(frozen=True)
class WatchSettings:
    """The reports that the service makes of itself in the background for /metrics and the status;
    `refresh_seconds` 0 turns them off."""

    refresh_seconds: float = 300.0
    drift_days: float = 7.0
    performance_days: float = 120.0


@dataclass(frozen=True)
class ContactSettings:
    """Whom the runbook says to call: a name, a number, a channel, as a person reads it."""

    on_call: str = ""
    tech_lead: str = ""
    data_team: str = ""


@dataclass(frozen=True)
class Configuration:
    """The whole file. `bentoml` is handed to @bentoml.service as it stands."""

    model: ModelSettings
    schema: Schema
    training: TrainingSettings = field(default_factory=TrainingSettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    drift: DriftLimits = field(default_factory=DriftLimits)
    performance: PerformanceSettings = field(default_factory=PerformanceSettings)
    log: LogSettings = field(default_factory=LogSettings)
    guardrails: GuardrailSettings = field(default_factory=GuardrailSettings)
    shadow: ShadowSettings = field(default_factory=ShadowSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    contacts: ContactSettings = field(default_factory=ContactSettings)
    bentoml: Mapping[str, Any] = field(default_factory=dict)


_LIMITS = {"timeout": "timeout_seconds", "max_concurrency": "max_concurrency"}
_SECTIONS = (
    *("model", "features", "derived", "training", "serving"),
    *("drift", "performance", "log", "guardrails", "shadow", "watch", "contacts", "bentoml"),
)


@dataclass(frozen=True)
class _FeatureEntry:
    """A feature as it stands in the file, where its name is the key."""

    type: Literal["number", "integer", "category"]
    meaning: str
    optional: bool = False
    soft_range: tuple[float, ...] | None = None
    hard_range: tuple[float, ...] | None = None
    levels: tuple[str, ...] = ()
    closed: bool = False


def file_in_force() -> Path:
    """$DATATHON_CONFIGURATION, else the project's own configuration.yaml."""
    return Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)


def load(path: Path | None = None) -> Configuration:
    """Read configuration.yaml: `path`, else the one in force.

    Raises:
        ConfigurationError: the file is missing, is not YAML, or breaks a rule; one line that says
            where.
    """
    path = path or file_in_force()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8") from error
    try:
        return parse(read(text))
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse(content: Any) -> Configuration:
    """Turn the parsed YAML into a Configuration.

    Raises:
        ConfigurationError: an unknown key, a wrong type, a missing part, a bad expression.
    """
    sections = mapping(content, "the file")
    refuse_unknown(sections, _SECTIONS, "")
    for section in ("model", "features"):
        if section not in sections:
            raise ConfigurationError(f"section `{section}` is missing")
    model = build(ModelSettings, sections["model"], "model")
    try:
        check_model_name(model.name)
    except UsageError as error:
        raise ConfigurationError(f"model.name: {error}") from error
    schema = _schema(sections["features"], sections.get("derived") or {})
    _check_roles(model, schema)
    training = build(TrainingSettings, sections.get("training") or {}, "training")
    _check_training(training)
    serving = build(ServingSettings, sections.get("serving") or {}, "serving")
    _check_serving(serving)
    drift = build(DriftLimits, sections.get("drift") or {}, "drift")
    performance = build(PerformanceSettings, sections.get("performance") or {}, "performance")
    log = build(LogSettings, sections.get("log") or {}, "log")
    _check_monitoring(drift, performance, log)
    guardrails = build(GuardrailSettings, sections.get("guardrails") or {}, "guardrails")
    shadow = build(ShadowSettings, sections.get("shadow") or {}, "shadow")
    _check_swaps(guardrails, shadow)
    watch = build(WatchSettings, sections.get("watch") or {}, "watch")
    _check_watch(watch, performance)
    contacts = build(ContactSettings, sections.get("contacts") or {}, "contacts")
    return Configuration(
        model=model,
        schema=schema,
        training=training,
        serving=serving,
        drift=drift,
        performance=performance,
        log=log,
        guardrails=guardrails,
        shadow=shadow,
        watch=watch,
        contacts=contacts,
        bentoml=_bentoml(sections.get("bentoml") or {}),
    )


def _bentoml(section: Any) -> dict[str, Any]:
    """BentoML checks its own settings, by a page-long error; `workers` we read too. The limits
    of requests are ours, with the product's own shape of answer."""
    settings = mapping(section, "bentoml")
    workers = settings.get("workers", 1)
    if workers != "cpu_count" and (type(workers) is not int or workers < 1):
        raise ConfigurationError("bentoml.workers: expected a whole number above 0 or cpu_count")
    traffic = mapping(settings.get("traffic") or {}, "bentoml.traffic")
    for name, ours in _LIMITS.items():
        if name in traffic:
            raise ConfigurationError(f"bentoml.traffic.{name}: not used; set serving.{ours}")
    return settings


def _schema(features: Any, derived: Any) -> Schema:
    parsed = tuple(_feature(name, entry) for name, entry in mapping(features, "features").items())
    if not parsed:
        raise ConfigurationError("features: at least one is needed")
    numeric = {feature.name for feature in parsed if feature.type != "category"}
    columns = []
    for name, text in mapping(derived, "derived").items():
        where = f"derived.{name}"
        _check_name(name, where)
        if name in {feature.name for feature in parsed}:
            raise ConfigurationError(f"{where}: a feature has this name")
        try:
            used = expressions.names(expressions.parse(str(text)))
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from error
        for unknown in sorted(used - numeric):
            raise ConfigurationError(
                f"{where}: {unknown!r} is no declared number{nearest(unknown, numeric)}"
            )
        columns.append((name, str(text)))
    return Schema(features=parsed, derived=tuple(columns))


def _feature(name: str, entry: Any) -> Feature:
    where = f"features.{name}"
    _check_name(name, where)
    facts = build(_FeatureEntry, entry, where)
    if facts.type == "category" and (facts.soft_range or facts.hard_range):
        raise ConfigurationError(f"{where}: a category has levels, not a range")
    if facts.type != "category" and (facts.levels or facts.closed):
        raise ConfigurationError(f"{where}: a {facts.type} has ranges, not levels")
    if facts.closed and not facts.levels:
        raise ConfigurationError(f"{where}: closed needs levels")
    return Feature(
        name=name,
        type=facts.type,
        meaning=facts.meaning,
        optional=facts.optional,
        soft_range=_range(facts.soft_range, f"{where}.soft_range"),
        hard_range=_range(facts.hard_range, f"{where}.hard_range"),
        levels=facts.levels,
        closed=facts.closed,
    )


def _check_name(name: str, where: str) -> None:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name) is None:
        raise ConfigurationError(f"{where}: a name has letters, digits and _ only")
    if name == ENTITY_FIELD:
        raise ConfigurationError(f"{where}: {ENTITY_FIELD} is reserved for who a row is about")
    if name == PERIOD_FIELD:
        raise ConfigurationError(f"{where}: {PERIOD_FIELD} is reserved for a row's period")
    if name == SCORE_NAME:
        raise ConfigurationError(f"{where}: {SCORE_NAME} is what reports call the risk score")


def _range(value: tuple[float, ...] | None, where: str) -> Range | None:
    if value is None:
        return None
    if len(value) != 2 or not value[0] < value[1]:
        raise ConfigurationError(f"{where}: expected [low, high] with low < high")
    if max(abs(value[0]), abs(value[1])) > LARGEST:
        raise ConfigurationError(f"{where}: at most {LARGEST:g} can be scored")
    return (value[0], value[1])


def _check_roles(model: ModelSettings, schema: Schema) -> None:
    """The target or the time column among the features would leak the answer."""
    for role in ("target", "time_column", "entity_column"):
        column = getattr(model, role)
        if column is not None and column in schema.names:
            raise ConfigurationError(f"model.{role}: {column!r} is a feature too; that would leak")


def _check_training(training: TrainingSettings) -> None:
    for name in training.candidates:
        if name not in CANDIDATES:
            raise ConfigurationError(
                f"training.candidates: {name!r} is unknown{nearest(name, CANDIDATES)}"
            )
    if not training.candidates or len(set(training.candidates)) < len(training.candidates):
        raise ConfigurationError("training.candidates: expected at least one, each once")
    if not 0 <= training.seed < 2**32:
        raise ConfigurationError("training.seed: expected 0 to 4294967295")
    for key in ("target_recall", "capacity_share", "leakage_auc"):
        if not 0.0 < getattr(training, key) <= 1.0:
            raise ConfigurationError(f"training.{key}: expected a share above 0 and at most 1")
    for key, least in (("folds", 2), ("repeats", 1), ("bootstrap_resamples", 100)):
        if getattr(training, key) < least:
            raise ConfigurationError(f"training.{key}: expected at least {least}")


def _check_serving(serving: ServingSettings) -> None:
    for key in ("max_rows", "max_body_bytes", "timeout_seconds", "max_concurrency", "poll_ms"):
        if not 0 < getattr(serving, key) < math.inf:
            raise ConfigurationError(f"serving.{key}: expected more than 0")


def _check_monitoring(
    drift: DriftLimits, performance: PerformanceSettings, log: LogSettings
) -> None:
    if not (0 < drift.yellow < drift.red < math.inf and 0 < drift.max_q < 1):
        raise ConfigurationError("drift: expected 0 < yellow < red, and max_q between 0 and 1")
    if drift.min_rows < 1 or drift.reference_rows < 0:
        raise ConfigurationError("drift: expected min_rows above 0 and reference_rows of 0 or more")
    if not 0 < performance.recall_floor < 1:
        raise ConfigurationError("performance.recall_floor: expected a share between 0 and 1")
    if performance.label_delay_days < 0:
        raise ConfigurationError("performance.label_delay_days: expected 0 or more")
    if log.retention_days < 1:
        raise ConfigurationError("log.retention_days: expected at least 1")


def _check_swaps(guardrails: GuardrailSettings, shadow: ShadowSettings) -> None:
    for key in ("recall_drop", "precision_drop", "calibration_rise", "segment_recall_drop"):
        if not 0 <= getattr(guardrails, f"{key}_points") <= 100:
            raise ConfigurationError(f"guardrails.{key}_points: expected 0 to 100")
    if not 0.5 <= guardrails.confidence < 1:
        raise ConfigurationError("guardrails.confidence: expected a share from 0.5 to below 1")
    for key, least in (("min_positives", 1), ("resamples", 100)):
        if getattr(guardrails, key) < least:
            raise ConfigurationError(f"guardrails.{key}: expected at least {least}")
    if shadow.queue_rows < 1:
        raise ConfigurationError("shadow.queue_rows: expected at least 1")
    if not 0 < shadow.time_share <= 1:
        raise ConfigurationError("shadow.time_share: expected a share above 0 and at most 1")


def _check_watch(watch: WatchSettings, performance: PerformanceSettings) -> None:
    if not 0 <= watch.refresh_seconds < math.inf:
        raise ConfigurationError("watch.refresh_seconds: expected 0 (off) or more")
    for key in ("drift_days", "performance_days"):
        if not 0 < getattr(watch, key) <= 36_500:
            raise ConfigurationError(f"watch.{key}: expected days above 0 and at most 36500")
    delay = performance.label_delay_days
    if watch.refresh_seconds > 0 and watch.performance_days <= delay:
        raise ConfigurationError(
            f"watch.performance_days: expected more than performance.label_delay_days, which is "
            f"{delay}, or no label is due in the report"
        )
