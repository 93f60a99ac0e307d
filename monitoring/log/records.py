"""What one line of the inference log says, checked; and which predictions were met before.

Reading and compaction decide here alike what a usable line is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from monitoring.times import micros
from registry.errors import UsageError
from registry.schema import FeatureType
from registry.versions import Version

_LARGEST = 2**63
_NULL = type(None)


class LogRecord(NamedTuple):
    """One logged row: `micros` since 1970 UTC; `entity` is the 16 bytes of the entity's key."""

    prediction_id: str
    request_id: str
    micros: int
    version: str
    schema: str
    features: dict[str, Any]
    score: float
    label: int
    entity: bytes | None
    period: int | None


def parse(line: bytes) -> LogRecord | None:
    """The record that a line holds; None where it is none. Features are not looked into."""
    try:
        facts = orjson.loads(line)
        record = LogRecord(
            prediction_id=_typed(facts["prediction_id"], str),
            request_id=_typed(facts["request_id"], str),
            micros=_micros(facts["ts"]),
            version=_version(facts["model_version"]),
            schema=_typed(facts["schema"], str),
            features=_typed(facts["features"], dict),
            score=float(_typed(facts["risk_score"], float, int)),
            label=_typed(facts["risk_label"], int),
            entity=_entity(facts["entity"]),
            period=_typed(facts.get("period"), int, _NULL),
        )
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None
    sound = 0 <= record.score <= 1 and record.label in (0, 1) and abs(record.period or 0) < _LARGEST
    return record if sound else None


def fits(features: Mapping[str, Any], kinds: Mapping[str, FeatureType]) -> bool:
    """Whether a row has no feature but those of its version, each null, absent or of its type."""
    checks = ((features[name], kinds.get(name)) for name in features)
    return all(kind is not None and _FITS[kind](value) for value, kind in checks)


def digests(ids: Sequence[str]) -> NDArray[np.bytes_]:
    """16 bytes of BLAKE2b for each id, shape (ids,): two ids count as one where they agree, by
    chance never."""
    whole = b"".join(blake2b(one.encode(), digest_size=16).digest() for one in ids)
    return np.frombuffer(whole, dtype="S16")


def places(known: NDArray[np.bytes_], wanted: NDArray[np.bytes_]) -> NDArray[np.intp]:
    """Where each wanted digest stands among the known ones, which are sorted; -1 for nowhere."""
    found = np.searchsorted(known, wanted)
    inner = np.flatnonzero(found < len(known))
    there = np.full(len(wanted), -1, dtype=np.intp)
    same = inner[known[found[inner]] == wanted[inner]]
    there[same] = found[same]
    return there


class SeenIds:
    """The prediction ids met so far: 16 bytes each, not the texts."""

    def __init__(self) -> None:
        self._keys = np.empty(0, dtype="S16")

    def novel(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Which of the ids, shape (ids,), are met for the first time, each once; they are met
        now."""
        distinct, first = np.unique(digests(ids), return_index=True)
        new = places(self._keys, distinct) < 0
        before = np.searchsorted(self._keys, distinct[new])
        self._keys = np.insert(self._keys, before, distinct[new])
        mask = np.zeros(len(ids), dtype=np.bool_)
        mask[first[new]] = True
        return mask


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError
    return value


def _micros(text: Any) -> int:
    """A time without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return micros(moment)


@lru_cache(maxsize=1024)
def _version(text: str) -> str:
    Version.parse(text)
    return text


def _entity(text: Any) -> bytes | None:
    if text is None:
        return None
    key = bytes.fromhex(text)
    if len(text) != 32 or len(key) != 16:
        raise ValueError
    return key


def _is_number(value: Any) -> bool:
    return type(value) in (float, int, _NULL)


def _is_integer(value: Any) -> bool:
    if type(value) is float:
        return value.is_integer() and abs(value) < _LARGEST
    return type(value) is _NULL or (type(value) is int and abs(value) < _LARGEST)


def _is_text(value: Any) -> bool:
    return type(value) in (str, _NULL)


_FITS: dict[FeatureType, Callable[[Any], bool]] = {
    "number": _is_number,
    "integer": _is_integer,
    "category": _is_text,
}


def likely_kinds(rows: Iterable[Mapping[str, Any]]) -> dict[str, FeatureType]:
    """The types that most values of each feature have: what is left to go by once a version is no
    longer stored. A feature that is always null is a number."""
    votes: dict[str, list[int]] = {}
    for features in rows:
        for name, value in features.items():
            vote = votes.setdefault(name, [0, 0, 0])
            if type(value) in (int, float, str):
                vote[(int, float, str).index(type(value))] += 1
    return {name: _kind(*vote) for name, vote in votes.items()}


def _kind(integers: int, floats: int, texts: int) -> FeatureType:
    if texts > integers + floats:
        return "category"
    return "integer" if integers and not floats else "number"
