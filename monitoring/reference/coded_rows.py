"""Some of the reference's rows, as a version keeps them: they are about people, so each value is
only the code of its bin, and nobody's id stands beside it."""

import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import Column
from monitoring.reference.profile import ReferenceProfile

_DIGITS = string.digits + string.ascii_letters  # one for each bin


@dataclass(frozen=True)
class CodedRows:
    """Some of the reference's rows: of each feature the bin codes, a character for each row, and
    whom the rows are about, as numbers that mean nothing else."""

    entities: tuple[int, ...]
    columns: Mapping[str, str]

    def __post_init__(self) -> None:
        for name, codes in self.columns.items():
            if len(codes) != len(self.entities) or not set(codes) <= set(_DIGITS):
                raise ValueError(f"reference rows: {name} is not a bin code for each row")

    @classmethod
    def build(
        cls,
        profile: ReferenceProfile,
        columns: Mapping[str, Column],
        entities: NDArray[Any],
        *,
        rows: int,
        seed: int,
    ) -> "CodedRows":
        """At most `rows` rows of entities drawn at random, whole but for the last, in random order.

        Columns as in `build_reference`; `entities`, shape (rows,), say whom each row is about.
        """
        generator = np.random.default_rng(seed)
        _, whose = np.unique(entities, return_inverse=True)
        by_entity = generator.permutation(len(whose))[whose]
        kept = generator.permutation(np.argsort(by_entity, kind="stable")[:rows])
        _, first, numbers = np.unique(whose[kept], return_index=True, return_inverse=True)
        return cls(
            entities=tuple(first.argsort().argsort()[numbers].tolist()),
            columns={
                feature.name: "".join(
                    _DIGITS[code] for code in feature.bins.codes(columns[feature.name])[kept]
                )
                for feature in profile.features
            },
        )

    def matrix(self, profile: ReferenceProfile) -> NDArray[np.int64]:
        """The codes, shape (rows, features). Raises ValueError if they are not of this profile."""
        if set(self.columns) != {feature.name for feature in profile.features}:
            raise ValueError("reference rows: the features are not those of the reference profile")
        matrix = np.empty((len(self.entities), len(profile.features)), dtype=np.int64)
        for position, feature in enumerate(profile.features):
            matrix[:, position] = [_DIGITS.index(code) for code in self.columns[feature.name]]
            if matrix[:, position].max(initial=0) >= len(feature.counts):
                raise ValueError(f"reference rows: {feature.name} has a code without a bin")
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON, which `from_dict` restores exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "CodedRows":
        """The rows that `to_dict` wrote. Raises ValueError, in one line, on anything else."""
        try:
            entities, columns = document["entities"], dict(document["columns"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"reference rows: {error!r}") from error
        if not isinstance(entities, list) or not all(type(item) is int for item in entities):
            raise ValueError("reference rows: the entities are not numbers")
        if not all(isinstance(codes, str) for codes in columns.values()):
            raise ValueError("reference rows: the columns are not texts")
        return cls(tuple(entities), columns)
