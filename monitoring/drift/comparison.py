"""Drift: one window of rows against the frozen reference, feature by feature and the score.

A colour is never given on noise, and never withheld silently: a window that is too small to show
a red is `inconclusive`, not green.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monitoring.reference.bins import CategoryBins, Column
from monitoring.reference.profile import FeatureProfile, ReferenceProfile
from monitoring.statistics import (
    benjamini_hochberg,
    psi,
    psi_noise,
    psi_noise_sd,
    two_sample_p,
)
from registry.configuration import DriftLimits

Counts: TypeAlias = NDArray[np.int64]
Status: TypeAlias = Literal["green", "yellow", "red", "inconclusive"]

SEED = 0  # of the simulated p-values: the same window always gets the same report
ALARMS: tuple[Status, ...] = ("red", "yellow")


@dataclass(frozen=True)
class BinCounts:
    """Rows of one bin before (reference) and now (window)."""

    label: str
    before: int
    now: int


@dataclass(frozen=True)
class FeatureDrift:
    """One feature. Shares are of all rows, 0 to 1; `unseen_now` is None for numbers.

    `n_effective` is the number of entities in the window.
    """

    name: str
    psi: float
    noise: float
    p: float
    q: float
    n_effective: int
    null_before: float
    null_now: float
    unseen_now: float | None
    status: Status
    bins: tuple[BinCounts, ...]


@dataclass(frozen=True)
class DriftReport:
    """The window's size, the worst colour, and the detail in the order of the reference."""

    rows: int
    entities: int
    status: Status
    score: FeatureDrift
    features: tuple[FeatureDrift, ...]

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON: finite numbers only."""
        return asdict(self)

    def at_least_yellow(self, names: Collection[str]) -> "DriftReport":
        """The same report where the named features are not green: a data bug shows in them that
        the histogram does not see."""
        features = tuple(
            replace(drift, status="yellow")
            if drift.name in names and drift.status not in ALARMS
            else drift
            for drift in self.features
        )
        status = overall(self.score.status, [drift.status for drift in features])
        return replace(self, features=features, status=status)


@dataclass(frozen=True)
class _Evidence:
    """What one histogram says by itself, before the other features' p-values are known."""

    psi: float
    noise: float
    noise_sd: float
    p: float


def compare(
    reference: ReferenceProfile,
    columns: Mapping[str, Column],
    scores: Column,
    entities: int,
    limits: DriftLimits,
) -> DriftReport:
    """Hold rows against the reference.

    Columns and scores have one value per row, as in `build_reference`; a feature without a column
    counts as all null, a column that is no feature is ignored. `entities` is how many distinct
    entities the rows are about. Raises ValueError if there are no rows, a length differs, or
    there are not 1..rows entities.
    """
    rows = len(scores)
    windows = [_window(profile, columns, rows) for profile in reference.features]
    return judge(reference, [*windows, reference.score.count(scores)], entities, limits)


def judge(
    reference: ReferenceProfile, windows: Sequence[Counts], entities: int, limits: DriftLimits
) -> DriftReport:
    """Hold counts against the reference: one histogram for each feature and, last, the score.

    Raises ValueError if there are no rows, or not 1..rows entities.
    """
    rows = int(windows[-1].sum())
    if rows == 0:
        raise ValueError("a window without rows cannot be compared")
    if not 1 <= entities <= rows:
        raise ValueError(f"{entities} entities cannot make {rows} rows")
    profiles = (*reference.features, reference.score)
    evidence = [
        _evidence(profile, window, n=reference.entities, m=entities)
        for profile, window in zip(profiles, windows, strict=True)
    ]
    q_values = benjamini_hochberg([item.p for item in evidence])
    *features, score = (
        _drift(profile, window, item, q=q, entities=entities, limits=limits)
        for profile, window, item, q in zip(profiles, windows, evidence, q_values, strict=True)
    )
    status = overall(score.status, [drift.status for drift in features])
    return DriftReport(rows, entities, status, score, tuple(features))


def overall(score: Status, features: Sequence[Status]) -> Status:
    """The worst colour of all. Green is more than no alarm: the score and most of the features
    must have been judged, else the report is inconclusive."""
    everything = (score, *features)
    for colour in ALARMS:
        if colour in everything:
            return colour
    unclear = score == "inconclusive" or 2 * features.count("inconclusive") >= len(features)
    return "inconclusive" if unclear else "green"


def _window(profile: FeatureProfile, columns: Mapping[str, Column], rows: int) -> Counts:
    if profile.name not in columns:
        counts = np.zeros(len(profile.counts), dtype=np.int64)
        counts[-1] = rows
        return counts
    values = columns[profile.name]
    if len(values) != rows:
        raise ValueError(f"{profile.name} has {len(values)} values for {rows} scores")
    return profile.count(values)


def _evidence(profile: FeatureProfile, window: Counts, *, n: int, m: int) -> _Evidence:
    before = np.array(profile.counts)
    occupied = int(np.count_nonzero(before + window))
    return _Evidence(
        psi=psi(before, window),
        noise=psi_noise(occupied, n, m),
        # Two bins at least: that a constant has not changed is not proven by a handful of rows.
        noise_sd=psi_noise_sd(max(occupied, 2), n, m),
        p=two_sample_p(before, window, effective_n=n, effective_m=m, seed=SEED),
    )


def _drift(
    profile: FeatureProfile,
    window: Counts,
    evidence: _Evidence,
    *,
    q: float,
    entities: int,
    limits: DriftLimits,
) -> FeatureDrift:
    now = window.tolist()
    rows = sum(now)
    is_category = isinstance(profile.bins, CategoryBins)
    return FeatureDrift(
        name=profile.name,
        psi=evidence.psi,
        noise=evidence.noise,
        p=evidence.p,
        q=q,
        n_effective=entities,
        null_before=profile.null_share,
        null_now=now[-1] / rows,
        unseen_now=now[-2] / rows if is_category else None,
        status=_status(evidence, q, limits) if entities >= limits.min_rows else "inconclusive",
        bins=tuple(
            BinCounts(label, before, count)
            for label, before, count in zip(profile.labels(), profile.counts, now, strict=True)
        ),
    )


def _status(evidence: _Evidence, q: float, limits: DriftLimits) -> Status:
    excess = evidence.psi - evidence.noise
    if excess >= limits.yellow:
        if q >= limits.max_q:
            return "inconclusive"
        return "red" if excess > limits.red else "yellow"
    return "inconclusive" if 2 * evidence.noise_sd > limits.red else "green"
