"""Version names `vX.Y.Z` or `vX.Y.Z-rc.N`, compared as numbers and never resolved from a part."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from registry.errors import UnknownVersionError, UsageError

_NUMBER = r"(0|[1-9][0-9]{0,5})"
_PATTERN = re.compile(rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-rc\.{_NUMBER})?")


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


def unknown_version(wanted: str, known: Iterable[Version]) -> UnknownVersionError:
    """The error for a version that does not exist, naming the nearest one that does."""
    import difflib

    names = [str(version) for version in sorted(known)]
    if not names:
        return UnknownVersionError(
            f"no version {wanted}: none is registered yet; "
            "run `python -m registry register --version v1.0.0 --artifacts artifacts/`"
        )
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.0)
    return UnknownVersionError(
        f"no version {wanted}; nearest is {near[0] if near else names[-1]} "
        "(see `python -m registry list`)"
    )
