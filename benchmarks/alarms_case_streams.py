"""The nine cases' rows: common things that each have one right answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alarms_streams import (
    Feature,
    Stream,
    Truth,
    calm,
    category,
    number,
    rows,
    times,
)

REFERENCE, WINDOW = 10_000, 1_000
ENTITIES, ROWS_EACH = 50, 20

CASE_FEATURES: dict[str, Feature] = {
    "steady": number(lambda rng, n: rng.normal(100, 15, n), 2, (0, 200)),
    "patchy": number(lambda rng, n: rng.normal(6, 2, n), 2, (-5, 20), nulls=0.05),
    "constant": number(lambda rng, n: np.full(n, 3.14), 2, (0, 10)),
    "zeros": number(lambda rng, n: _mostly_zero(rng, n, 0.90), 2, (0, 500)),
    "place": category({f"place {n}": 1 / 500 for n in range(500)}),
    "kind": category({"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}),
}


@dataclass(frozen=True)
class Case:
    """One case: whether something is wrong, in which feature (None: in any), and how a stream of it
    is made. `entities`: whom the window's rows are about."""

    name: str
    drift: bool
    feature: str | None
    make: Callable[[int], Stream]
    version: str = "cases"
    entities: NDArray[np.uint64] | None = None


def _mostly_zero(rng: np.random.Generator, count: int, share: float) -> NDArray[np.float64]:
    return np.where(rng.random(count) < share, 0.0, rng.lognormal(2, 0.8, count))


def _plain(seed: int) -> Stream:
    rng = np.random.default_rng((seed, 9))
    before, now = (rows(rng, count, CASE_FEATURES) for count in (REFERENCE, WINDOW))
    return Stream(before, now, times(rng, WINDOW), Truth("none"))


def _with(name: str, make: Callable[[np.random.Generator, Any], Any]) -> Callable[[int], Stream]:
    """The plain stream with one column of the window made anew from what it was."""

    def stream(seed: int) -> Stream:
        plain, rng = _plain(seed), np.random.default_rng((seed, 10))
        return replace(plain, window={**plain.window, name: make(rng, plain.window[name])})

    return stream


def _outlier(rng: np.random.Generator, values: Any) -> Any:
    moved = values + 0.5 * 15
    moved[rng.integers(len(moved))] = 1e9
    return moved


def _lost(rng: np.random.Generator, values: Any) -> Any:
    """5 % null before; 30 % of all now."""
    missing = rng.random(len(values)) < 1 - 0.70 / 0.95
    return np.where(missing, np.nan, values)


def _repeated(seed: int) -> Stream:
    one = calm(seed, reference=REFERENCE, window=ENTITIES)
    at = times(np.random.default_rng((seed, 11)), ENTITIES * ROWS_EACH)
    turn = np.arange(ENTITIES * ROWS_EACH) % ENTITIES
    return replace(
        one, window={name: values[turn] for name, values in one.window.items()}, times=at
    )


CASES = (
    Case(
        "no drift, 50 rows",
        drift=False,
        feature=None,
        make=lambda seed: calm(seed, reference=REFERENCE, window=50),
        version="version",
    ),
    Case("+0.5 sd and one 1e9", drift=True, feature="steady", make=_with("steady", _outlier)),
    Case("nulls 5 % → 30 %", drift=True, feature="patchy", make=_with("patchy", _lost)),
    Case(
        "constant 3.14 → 2.71",
        drift=True,
        feature="constant",
        make=_with("constant", lambda rng, values: np.full(len(values), 2.71)),
    ),
    Case(
        "zeros 90 % → 70 %",
        drift=True,
        feature="zeros",
        make=_with("zeros", lambda rng, values: np.round(_mostly_zero(rng, len(values), 0.70), 2)),
    ),
    Case("500 equal levels, no drift", drift=False, feature="place", make=_plain),
    Case(
        "an unseen level, 100 %",
        drift=True,
        feature="kind",
        make=_with("kind", lambda rng, values: np.full(len(values), "other", dtype=object)),
    ),
    Case(
        f"{ENTITIES} entities × {ROWS_EACH}, no drift",
        drift=False,
        feature=None,
        make=_repeated,
        version="version",
        entities=(np.arange(ENTITIES * ROWS_EACH) % ENTITIES + 1).astype(np.uint64),
    ),
)
