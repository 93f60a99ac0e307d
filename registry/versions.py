"""Version names `vX.Y.Z` or `vX.Y.Z-rc.N`, compared as numbers and never resolved from a part."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from registry.errors import UnknownVersionError, UsageError

_NUMBER = r"(0|[1-9][0-9]{0,5})"
_PATTERN = re.compile(rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-rc\.{_NUMBER})?")
_MODEL_NAME = re.compile(r"[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?")


@total_ordering
@dataclass(frozen=True)
class Version:
    """One exact version; `candidate` is N of `-rc.N`, None for a release."""

    major: int
    minor: int
    patch: int
    candidate: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read an exact version name.

        Raises:
            UsageError: anything else, `latest`, `v1.2`, spaces and newlines included.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r} is not a version: write vX.Y.Z or vX.Y.Z-rc.N, for example v1.2.0"
            )
        major, minor, patch, candidate = match.groups()
        return cls(
            int(major), int(minor), int(patch), None if candidate is None else int(candidate)
        )

    def __str__(self) -> str:
        tail = "" if self.candidate is None else f"-rc.{self.candidate}"
        return f"v{self.major}.{self.minor}.{self.patch}{tail}"

    def _key(self) -> tuple[int, int, int, float]:
        # A release comes after all of its candidates.
        tail = float("inf") if self.candidate is None else float(self.candidate)
        return (self.major, self.minor, self.patch, tail)

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()


def check_model_name(text: str) -> str:
    """A model's name, which is also the name of its folder, as it was given.

    Raises:
        UsageError: BentoML would refuse or change it, or it would lead out of the store.
    """
    if _MODEL_NAME.fullmatch(text) is None:
        raise UsageError(
            f"{text!r} is not a model's name: lower-case letters, digits, - . _ only, "
            "at most 63 characters, first and last a letter or a digit"
        )
    return text


def unknown_version(wanted: str, known: Iterable[Version]) -> UnknownVersionError:
    """The error for a version that does not exist, naming the nearest one that does."""
    import difflib

    names = [str(version) for version in sorted(known)]
    if not names:
        return UnknownVersionError(
            f"no version {wanted!r}: none is registered yet; "
            "run `python -m registry register --version v1.0.0 --artifacts artifacts/`"
        )
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.0)
    return UnknownVersionError(
        f"no version {wanted!r}; nearest is {near[0]} (see `python -m registry list`)"
    )
