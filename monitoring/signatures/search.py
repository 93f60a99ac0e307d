"""Why a feature changed: the signature of a data bug, with its evidence, or none, which leaves the
population.

A bug is named only when the rows that show it became so many more than in the reference that
neither noise (Fisher's exact test at a strict level) nor a usual change of population (the share
and its odds) explains it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import Column, NumericBins
from monitoring.reference.profile import ReferenceProfile
from monitoring.signatures.factor import factor
from monitoring.signatures.kinds import Bug, Sample, Suspect, single
from monitoring.signatures.rules import Null, Rule, column
from monitoring.signatures.swap import swapped
from monitoring.statistics import fisher_p
from registry.schema import Schema

LEVEL = 0.001  # of a false name in a window, whatever the number of features
KINDS = 7


@dataclass(frozen=True)
class Signature:
    """One feature's bug. Shares are of all rows, 0 to 1: now, and of the reference before.

    `p` is of "the share did not rise". `detail`, by kind: nulls {}, unseen {"levels": the most
    frequent, none to five}, stuck {"value"}, factor {"factor": 0.001 to 1000}, range {"low",
    "high"}, swapped {"with": a feature}, integer {}.
    """

    feature: str
    kind: Bug
    share: float
    share_before: float
    p: float
    detail: Mapping[str, Any]
    rule: Rule = field(repr=False, compare=False)

    def mask(self, columns: Mapping[str, Column]) -> NDArray[np.bool_]:
        """The rows, of these or any later ones, that show it: shape (rows,)."""
        return self.rule.mask(columns)


def find(
    reference: ReferenceProfile,
    schema: Schema,
    columns: Mapping[str, Column],
    *,
    entities: int,
) -> tuple[Signature, ...]:
    """The bugs that show in the rows of a window, at most one for a feature, in its order.

    Columns are as in `monitoring.drift.comparison.compare`; `entities`, the number of distinct
    ones, is the effective number of rows. Two columns that were swapped are named both. Raises
    ValueError if there are rows and not 1..rows entities.
    """
    rows = max(map(len, columns.values()), default=0)
    if rows == 0:
        return ()
    if not 1 <= entities <= rows:
        raise ValueError(f"{entities} entities cannot make {rows} rows")
    declared = {feature.name: feature.soft_range for feature in schema.features}
    weight = entities / rows
    samples = [
        Sample(profile, declared.get(profile.name), column(columns, profile.name), weight)
        for profile in reference.features
    ]
    test = _Test(reference, columns, LEVEL / (KINDS * len(samples)))
    crossed = dict(reversed([(s.name, suspect) for s, suspect in swapped(samples)]))
    found = (_most_telling(test, sample, crossed.get(sample.name)) for sample in samples)
    return tuple(signature for signature in found if signature is not None)


@dataclass(frozen=True)
class _Test:
    """Whether a suspect's share rose: the same for every kind."""

    reference: ReferenceProfile
    columns: Mapping[str, Column]
    level: float

    def confirm(self, sample: Sample, suspect: Suspect) -> Signature | None:
        shown = suspect.rule.mask(self.columns)
        nulls = Null(sample.name).mask(self.columns).mean() if suspect.of_known else 0.0
        nulls_before = sample.profile.null_share if suspect.of_known else 0.0
        n = (1 - nulls) * sample.weight * len(shown)
        m = (1 - nulls_before) * self.reference.entities
        if min(n, m) < 1:
            return None
        now = float(shown.mean() / (1 - nulls))
        if now - suspect.before < suspect.rise or not _odds_rose(suspect, now, n=n, m=m):
            return None
        trials, others = round(n), round(m)
        shown_before = round(suspect.before * others)
        p = fisher_p(round(now * trials), trials, other_hits=shown_before, other_trials=others)
        if p >= self.level:
            return None
        return Signature(
            feature=sample.name,
            kind=suspect.kind,
            share=float(shown.mean()),
            share_before=suspect.before * (1 - nulls_before),
            p=p,
            detail=suspect.detail,
            rule=suspect.rule,
        )


def _most_telling(test: _Test, sample: Sample, crossed: Suspect | None) -> Signature | None:
    """The most specific bug that is confirmed; nulls only where they are more rows than it."""
    found = (test.confirm(sample, suspect) for suspect in _suspects(sample, crossed))
    confirmed = [signature for signature in found if signature is not None]
    nulls = [signature for signature in confirmed if signature.kind == "nulls"]
    return max((*confirmed[:1], *nulls), key=lambda signature: signature.share, default=None)


def _suspects(sample: Sample, crossed: Suspect | None) -> Iterator[Suspect]:
    if crossed is not None:
        yield crossed
    if isinstance(sample.profile.bins, NumericBins):
        yield from factor(sample)
    yield from single(sample)


def _odds_rose(suspect: Suspect, now: float, *, n: float, m: float) -> bool:
    """With half a row added, so that a share of 0 or 1 has odds."""
    odds_now = (now * n + 0.5) / ((1 - now) * n + 0.5)
    odds_before = (suspect.before * m + 0.5) / ((1 - suspect.before) * m + 0.5)
    return bool(odds_now >= suspect.odds * odds_before)
