"""Streams whose truth is known: a reference, a window of seven days, and what was done to it.

Thirteen features as a school programme has them, none of them real. Drift and bugs are done to
finished rows, from one moment on; the window's hours have as many rows as chance gives them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any]
Columns: TypeAlias = dict[str, Values]
Kind: TypeAlias = Literal[
    "none", "population", "nulls", "unseen", "stuck", "factor", "range", "swapped", "integer"
]
Draw: TypeAlias = Callable[[np.random.Generator, int], Values]

START = datetime(2026, 11, 15, tzinfo=UTC)
DAYS = 7
LATEST_ONSET = 4  # the last day (from 0) on which a change may begin
_HOUR_US = 3_600_000_000
_START_US = int(START.timestamp()) * 1_000_000


@dataclass(frozen=True)
class Feature:
    """One column: its entry in the contract, how it is drawn, the share that is null."""

    entry: Mapping[str, Any]
    draw: Draw
    nulls: float = 0.0


def number(draw: Draw, decimals: int, usual: tuple[float, float], *, nulls: float = 0.0) -> Feature:
    entry = {"type": "number", "soft_range": list(usual), "optional": True}
    return Feature(entry, lambda rng, n: np.round(draw(rng, n), decimals), nulls)


def _index(mean: float, sd: float, decimals: int, *, nulls: float = 0.0) -> Feature:
    """An index or a mark from 0 to 10."""
    return number(
        lambda rng, n: np.clip(rng.normal(mean, sd, n), 0, 10), decimals, (0, 10), nulls=nulls
    )


def integer(draw: Draw, usual: tuple[float, float]) -> Feature:
    entry = {"type": "integer", "soft_range": list(usual), "optional": True}
    return Feature(entry, lambda rng, n: draw(rng, n).astype(np.float64))


def category(shares: Mapping[str, float], *, nulls: float = 0.0) -> Feature:
    levels = np.array(list(shares), dtype=object)
    entry = {"type": "category", "levels": list(shares), "optional": True}
    p = np.array(list(shares.values()))
    return Feature(entry, lambda rng, n: rng.choice(levels, n, p=p / p.sum()), nulls)


FEATURES: dict[str, Feature] = {
    "index": _index(7.2, 0.9, 3),
    "engagement": _index(7.9, 1.4, 1),
    "learning": _index(6.4, 1.9, 2),
    "social": _index(5.1, 1.1, 2),
    "turning": _index(7.6, 1.0, 2),
    "maths": _index(5.8, 2.3, 1, nulls=0.05),
    "english": _index(5.9, 2.7, 1, nulls=0.60),
    "income": number(lambda rng, n: rng.lognormal(2, 0.8, n), 2, (0, 200)),
    "warmth": number(lambda rng, n: rng.normal(22, 5, n), 1, (-10, 45)),
    "age": integer(lambda rng, n: 7 + rng.binomial(14, 0.42, n), (7, 21)),
    "years": integer(lambda rng, n: rng.poisson(1.5, n), (0, 12)),
    "sex": category({"F": 0.54, "M": 0.46}),
    "school": category(
        {"public": 0.55, "private": 0.25, "federal": 0.12, "home": 0.06, "abroad": 0.02}, nulls=0.03
    ),
}
NUMERIC = tuple(name for name, f in FEATURES.items() if f.entry["type"] != "category")
CATEGORICAL = tuple(name for name in FEATURES if name not in NUMERIC)
SMOOTH = ("index", "engagement", "learning", "social", "turning", "income", "warmth")

SWAPS = {"social": "turning", "index": "warmth", "sex": "school"}
FACTORS = {"income": (0.01, 0.1, 10.0, 100.0), "maths": (0.1, 10.0), "warmth": (0.1, 10.0)}
DAMAGED: dict[Kind, tuple[str, ...]] = {
    "population": SMOOTH,
    "nulls": ("learning", "maths", "age", "school"),
    "unseen": ("school", "sex"),
    "stuck": ("index", "learning", "income", "age"),
    "factor": tuple(FACTORS),
    "range": ("warmth", "income"),
    "swapped": tuple(SWAPS),
    "integer": ("index", "learning", "income"),
}
BUGS: tuple[Kind, ...] = tuple(kind for kind in DAMAGED if kind != "population")
NEW_NULLS = 0.35  # of the rows since the onset; the other bugs hit every one


@dataclass(frozen=True)
class Truth:
    """What was done: to which features, what a right report says of each beside the kind, and the
    time of the first row that was changed (UTC)."""

    kind: Kind
    detail: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.detail)


@dataclass(frozen=True)
class Stream:
    """Reference and window: columns of shape (rows,), numbers with NaN and texts with None for
    null; `times` are microseconds since 1970 UTC, ascending."""

    reference: Columns
    window: Columns
    times: NDArray[np.int64]
    truth: Truth


def rows(
    rng: np.random.Generator, count: int, features: Mapping[str, Feature] = FEATURES
) -> Columns:
    """Rows without anything done to them."""
    return {name: _drawn(feature, rng, count) for name, feature in features.items()}


def calm(seed: int, *, reference: int, window: int) -> Stream:
    """A stream without drift."""
    rng = np.random.default_rng((seed, reference, window))
    before, now = rows(rng, reference), rows(rng, window)
    return Stream(before, now, times(rng, window), Truth("none"))


def changed(
    kind: Kind, seed: int, *, reference: int, window: int, shift_sd: float = 0.5, onset: int = 0
) -> Stream:
    """A stream with one change; which feature, and from which hour on, depends on the seed.

    A population moves up by `shift_sd` standard deviations from the start of day `onset` on; a bug
    starts in any hour up to day `LATEST_ONSET`.
    """
    features = DAMAGED[kind]
    feature = features[seed % len(features)]
    rng = np.random.default_rng((seed, reference, window, sorted(DAMAGED).index(kind)))
    before, now, at = rows(rng, reference), rows(rng, window), times(rng, window)
    if kind == "population":
        since = at >= _START_US + onset * 24 * _HOUR_US
        step = shift_sd * float(np.nanstd(before[feature]))
        low, high = FEATURES[feature].entry["soft_range"]
        moved = np.clip(now[feature] + step, low, high)  # a mark out of 10 stays one
        now[feature] = np.where(since, moved, now[feature])
        return Stream(before, now, at, Truth(kind, {feature: {}}, _first(since, at)))
    since = at >= _START_US + int(rng.integers(0, 24 * (LATEST_ONSET + 1))) * _HOUR_US
    hit = since & (rng.random(window) < NEW_NULLS) if kind == "nulls" else since
    detail = _break(kind, feature, now, hit, seed=seed)
    return Stream(before, now, at, Truth(kind, detail, _first(hit, at)))


def _break(
    kind: Kind, feature: str, now: Columns, hit: NDArray[np.bool_], *, seed: int
) -> dict[str, dict[str, Any]]:
    """Damage the rows of `hit` in place; the features that this changes, with the facts."""
    values, facts = now[feature], dict[str, Any]()
    if kind == "swapped":
        other = SWAPS[feature]
        now[feature], now[other] = _exchanged(values, now[other], hit)
        return {feature: {"with": other}, other: {"with": feature}}
    if kind == "nulls":
        broken = np.full_like(values, None if feature in CATEGORICAL else np.nan)
    elif kind == "unseen":
        broken = np.array([v if v is None else f"{v}.".upper() for v in values], dtype=object)
    elif kind == "stuck":
        facts["value"] = float(values[np.isfinite(values)][0])
        broken = np.where(np.isnan(values), np.nan, facts["value"])
    elif kind == "factor":
        factors = FACTORS[feature]
        facts["factor"] = factors[seed // len(FACTORS) % len(factors)]
        broken = np.round(values * facts["factor"], 4)
    elif kind == "range":
        broken = np.round(values * 1.8 + 32, 1) if feature == "warmth" else -values
    else:
        broken = np.rint(values)
    now[feature] = np.where(hit, broken, values)
    return {feature: facts}


def _exchanged(one: Values, two: Values, hit: NDArray[np.bool_]) -> tuple[Values, Values]:
    return np.where(hit, two, one), np.where(hit, one, two)


def _first(hit: NDArray[np.bool_], times: NDArray[np.int64]) -> datetime:
    """The time of the first row that was hit; of the first row of all where none was."""
    return START + timedelta(microseconds=int(times[hit.argmax()]) - _START_US)


def _drawn(feature: Feature, rng: np.random.Generator, count: int) -> Values:
    values = feature.draw(rng, count)
    values[rng.random(count) < feature.nulls] = None if values.dtype == object else np.nan
    return values


def times(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Moments of the seven days, ascending."""
    return np.sort(rng.integers(_START_US, _START_US + DAYS * 24 * _HOUR_US, count))
