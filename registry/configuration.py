"""configuration.yaml, parsed once into frozen dataclasses; an unknown key is an error that names
the nearest known one."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from registry import expressions
from registry.errors import ConfigurationError
from registry.schema import ENTITY_FIELD, Feature, Range, Schema
from registry.state import PROJECT

DEFAULT_FILE = PROJECT / "configuration.yaml"
FILE_VARIABLE = "DATATHON_CONFIGURATION"
_T = TypeVar("_T")
_NAMES = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}
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


@dataclass(frozen=True)
class DriftLimits:
    """PSI above what noise alone gives, and the Benjamini-Hochberg q that a colour needs."""

    yellow: float = 0.10
    red: float = 0.25
    max_q: float = 0.05


@dataclass(frozen=True)
class Configuration:
    """The whole file. `bentoml` is handed to @bentoml.service as it stands."""

    model: ModelSettings
    schema: Schema
    training: TrainingSettings = field(default_factory=TrainingSettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    drift: DriftLimits = field(default_factory=DriftLimits)
    bentoml: Mapping[str, Any] = field(default_factory=dict)


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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return parse(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse(content: Any) -> Configuration:
    """Turn the parsed YAML into a Configuration.

    Raises:
        ConfigurationError: an unknown key, a wrong type, a missing part, a bad expression.
    """
    sections = _mapping(content, "the file")
    _refuse_unknown(
        sections, ["model", "features", "derived", "training", "serving", "drift", "bentoml"], ""
    )
    for section in ("model", "features"):
        if section not in sections:
            raise ConfigurationError(f"section `{section}` is missing")
    model = _build(ModelSettings, sections["model"], "model")
    if re.fullmatch(r"[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?", model.name) is None:
        raise ConfigurationError(
            "model.name: lower-case letters, digits, - . _ only, at most 63 characters"
        )
    schema = _schema(sections["features"], sections.get("derived") or {})
    _check_roles(model, schema)
    training = _build(TrainingSettings, sections.get("training") or {}, "training")
    _check_training(training)
    return Configuration(
        model=model,
        schema=schema,
        training=training,
        serving=_build(ServingSettings, sections.get("serving") or {}, "serving"),
        drift=_build(DriftLimits, sections.get("drift") or {}, "drift"),
        bentoml=_mapping(sections.get("bentoml") or {}, "bentoml"),
    )


def _schema(features: Any, derived: Any) -> Schema:
    parsed = tuple(_feature(name, entry) for name, entry in _mapping(features, "features").items())
    if not parsed:
        raise ConfigurationError("features: at least one is needed")
    numeric = {feature.name for feature in parsed if feature.type != "category"}
    columns = []
    for name, text in _mapping(derived, "derived").items():
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
                f"{where}: {unknown!r} is no declared number{_nearest(unknown, numeric)}"
            )
        columns.append((name, str(text)))
    return Schema(features=parsed, derived=tuple(columns))


def _feature(name: str, entry: Any) -> Feature:
    where = f"features.{name}"
    _check_name(name, where)
    facts = _build(_FeatureEntry, entry, where)
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


def _range(value: tuple[float, ...] | None, where: str) -> Range | None:
    if value is None:
        return None
    if len(value) != 2 or not value[0] < value[1]:
        raise ConfigurationError(f"{where}: expected [low, high] with low < high")
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
                f"training.candidates: {name!r} is unknown{_nearest(name, CANDIDATES)}"
            )
    if not training.candidates:
        raise ConfigurationError("training.candidates: at least one is needed")
    for key in ("target_recall", "capacity_share", "leakage_auc"):
        if not 0.0 < getattr(training, key) <= 1.0:
            raise ConfigurationError(f"training.{key}: expected a share above 0 and at most 1")
    for key, least in (("folds", 2), ("repeats", 1), ("bootstrap_resamples", 100)):
        if getattr(training, key) < least:
            raise ConfigurationError(f"training.{key}: expected at least {least}")


def _build(kind: type[_T], content: Any, where: str) -> _T:
    """Make the frozen dataclass `kind` of a mapping, checking each key and type."""
    entries = _mapping(content, where)
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    _refuse_unknown(entries, list(known), f"{where}.")
    for name, entry in known.items():
        required = entry.default is MISSING and entry.default_factory is MISSING
        if required and name not in entries:
            raise ConfigurationError(f"{where}.{name} is missing")
    hints = get_type_hints(kind)
    return kind(
        **{name: _typed(value, hints[name], f"{where}.{name}") for name, value in entries.items()}
    )


def _typed(value: Any, hint: Any, where: str) -> Any:
    if isinstance(hint, UnionType):
        return None if value is None else _typed(value, get_args(hint)[0], where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigurationError(f"{where}: expected {' or '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigurationError(f"{where}: expected a list")
        return tuple(_typed(item, get_args(hint)[0], where) for item in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigurationError(f"{where}: expected {_NAMES[hint]}")
    return value


def _mapping(content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigurationError(f"{where}: expected a mapping of names to values")
    return content


def _refuse_unknown(entries: Mapping[str, Any], known: Iterable[str], prefix: str) -> None:
    for key in entries:
        if key not in known:
            raise ConfigurationError(f"unknown key `{prefix}{key}`{_nearest(key, known)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; did you mean `{near[0]}`?" if near else ""
