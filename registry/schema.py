"""What a row looks like: the features a client sends and the columns derived from them.

A version stores its schema; the service validates against the stored one, never against
configuration.yaml, so that model and contract change together.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

FeatureType = Literal["number", "integer", "category"]
Range = tuple[float, float]

ENTITY_FIELD = "entity_id"
"""Beside the features a row may say who it is about."""
PERIOD_FIELD = "period"
"""Beside the features a row may say which period it is about, so that labels find it."""
SCORE_NAME = "score"
"""What reports call the risk score beside the features, so that no feature may have this name."""
LARGEST = 1e37
"""The largest number that is scored, sent or derived: a forest scores in float32."""
_LARGEST_INTEGER = float(2**53)


@dataclass(frozen=True)
class Feature:
    """One declared feature: inclusive ranges; levels are usual or, with `closed`, the only ones."""

    name: str
    type: FeatureType
    meaning: str
    optional: bool = False
    soft_range: Range | None = None
    hard_range: Range | None = None
    levels: tuple[str, ...] = ()
    closed: bool = False

    @property
    def bounds(self) -> Range:
        """What a number may be: the hard range, within what can be scored and stored exactly."""
        limit = _LARGEST_INTEGER if self.type == "integer" else LARGEST
        low, high = self.hard_range or (-limit, limit)
        return (max(low, -limit), min(high, limit))

    @property
    def expected(self) -> str:
        """What a value must be, in words that stand in an error message."""
        if self.type == "category":
            words = f"one of {', '.join(self.levels)}" if self.closed else "a text"
        else:
            words = "an integer" if self.type == "integer" else "a number"
            if self.hard_range is not None:
                words += f" from {self.hard_range[0]:g} to {self.hard_range[1]:g}"
        return words + (" or null" if self.optional else "")

    def to_dict(self) -> dict[str, Any]:
        """The feature as JSON, without what is not set."""
        facts: dict[str, Any] = {"name": self.name, "type": self.type, "meaning": self.meaning}
        facts["optional"] = self.optional
        if self.type == "category":
            facts |= {"levels": list(self.levels), "closed": self.closed}
        for key, bounds in (("soft_range", self.soft_range), ("hard_range", self.hard_range)):
            if bounds is not None:
                facts[key] = list(bounds)
        return facts

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Feature":
        """The inverse of `to_dict`."""
        return cls(
            name=facts["name"],
            type=facts["type"],
            meaning=facts["meaning"],
            optional=facts["optional"],
            soft_range=_bounds(facts.get("soft_range")),
            hard_range=_bounds(facts.get("hard_range")),
            levels=tuple(facts.get("levels", ())),
            closed=facts.get("closed", False),
        )


@dataclass(frozen=True)
class Schema:
    """The features in the order of the model's columns, and the derived columns after them."""

    features: tuple[Feature, ...]
    derived: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def kinds(self) -> dict[str, FeatureType]:
        return {feature.name: feature.type for feature in self.features}

    @property
    def numeric(self) -> tuple[str, ...]:
        """Numeric columns as the model sees them: declared first, then derived."""
        declared = tuple(f.name for f in self.features if f.type != "category")
        return declared + tuple(name for name, _ in self.derived)

    @property
    def categorical(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.features if f.type == "category")

    def to_dict(self) -> dict[str, Any]:
        return {
            "features": [feature.to_dict() for feature in self.features],
            "derived": dict(self.derived),
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Schema":
        """The inverse of `to_dict`."""
        derived = cast(Mapping[str, str], facts["derived"])
        return cls(
            features=tuple(Feature.from_dict(feature) for feature in facts["features"]),
            derived=tuple(derived.items()),
        )

    def digest(self) -> str:
        """Twelve hex digits that change when the contract does; stands on each logged row."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _bounds(value: Any) -> Range | None:
    return None if value is None else (float(value[0]), float(value[1]))
