"""Why and since when: for each feature that drifted or shows a data bug, what it looks like, its
first hour, the first request, and how much of the score's shift it makes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from monitoring.drift.census import HOUR, HOURS_A_DAY, Census
from monitoring.drift.comparison import ALARMS, DriftReport
from monitoring.drift.explanation import Explained
from monitoring.drift.onset import Trend, onset, trend
from monitoring.log.reading import Batch
from monitoring.reference.bins import Column
from monitoring.reference.profile import ReferenceProfile
from monitoring.signatures.search import Signature, find
from registry.schema import Schema

MOST_STARTS = 6  # moments from which on the sample is searched for signatures
SEARCHED = 5_000  # of the sampled rows; a share of a tenth is plain in fewer
# Real flights, each of 184 days by itself: with these two, one day named one feature.
RARE_BEFORE = 0.05
MOST_OF_A_DAY = 0.5


@dataclass(frozen=True)
class Cause:
    """One feature's change; the fields are those of a cause in the report (docs/reports.md)."""

    feature: str
    kind: str
    is_bug: bool
    share: float | None
    share_before: float | None
    detail: Mapping[str, Any]
    since: str | None
    since_is: str
    first_request: str | None
    first_at: str | None
    trend: Trend | None
    score_shift: float | None = None
    score_moved: float | None = None

    def explained(self, by: Explained | None) -> "Cause":
        if by is None:
            return self
        return replace(self, score_shift=by.shift, score_moved=by.moved)


@dataclass
class _Sightings:
    """Rows that show a signature, by bucket, and the first of each bucket."""

    hits: dict[int, int] = field(default_factory=dict)
    first: dict[int, tuple[int, str]] = field(default_factory=dict)


def signatures(
    reference: ReferenceProfile,
    schema: Schema,
    census: Census,
    sample: Batch,
    report: DriftReport,
) -> tuple[Signature, ...]:
    """The data bugs that the sampled rows (in the order of time) show, at most one a feature.

    A bug that starts in mid-window is looked for in the rows since then: the whole window is
    searched, what follows the onset of each feature that drifted, and what follows the begin of
    each of the last days, because a bug of a few hours moves no histogram of a week. A day by
    itself has its own weather, so there only what hardly ever occurred before is a bug.
    """
    search = _Search(reference, schema, sample, report.rows / report.entities)
    found: dict[str, Signature] = {}
    for start in _starts(reference, census, report):
        for signature in search.since(census.moment(start)):
            known = found.get(signature.feature)
            if known is None or signature.share > known.share:
                found[signature.feature] = signature
    for buckets in list(census.days().values())[-MOST_STARTS:]:
        for signature in search.since(census.moment(buckets[0])):
            if signature.share_before <= RARE_BEFORE and _is_no_weather(signature):
                found.setdefault(signature.feature, signature)
    return tuple(found.values())


@dataclass(frozen=True)
class _Search:
    """The sampled rows in the order of time, and what they are held against."""

    reference: ReferenceProfile
    schema: Schema
    rows: Batch
    rows_per_entity: float

    def since(self, moment: int) -> tuple[Signature, ...]:
        """The signatures of the rows from a moment on, in microseconds since 1970."""
        first = int(np.searchsorted(self.rows.times, moment))
        count = len(self.rows) - first
        thin = slice(first, None, -(-count // SEARCHED) or 1)
        columns = {name: np.asarray(values)[thin] for name, values in self.rows.columns.items()}
        count = len(self.rows.times[thin])
        entities = min(max(1, round(count / self.rows_per_entity)), count)
        return find(self.reference, self.schema, columns, entities=entities)


def _is_no_weather(signature: Signature) -> bool:
    """Nulls and repeated values come in spells, unless they are most of the rows."""
    return signature.kind not in ("stuck", "nulls") or signature.share >= MOST_OF_A_DAY


def trace(
    reference: ReferenceProfile,
    census: Census,
    report: DriftReport,
    found: Sequence[Signature],
    read: Callable[[tuple[str, ...]], Iterable[Batch]],
) -> list[Cause]:
    """A cause for each signature, and `population` for each other feature that drifted.

    `read` gives the window again, with the columns named and the ids.
    """
    causes = list(_bugs(reference, census, found, read)) if found else []
    named = {signature.feature for signature in found}
    for position, drift in enumerate(report.features):
        if drift.status in ALARMS and drift.name not in named:
            causes.append(_population(reference, census, position))
    return causes


def _starts(reference: ReferenceProfile, census: Census, report: DriftReport) -> list[int]:
    """The window's first bucket, and the onsets of the features that drifted, worst first."""
    buckets = sorted(census.buckets)
    drifted = [
        (drift.psi - drift.noise, position)
        for position, drift in enumerate(report.features)
        if drift.status in ALARMS
    ]
    onsets = [_onset(reference, census, position) for _, position in sorted(drifted, reverse=True)]
    return list(dict.fromkeys([buckets[0], *onsets]))[:MOST_STARTS]


def _onset(reference: ReferenceProfile, census: Census, position: int) -> int:
    buckets = sorted(census.buckets)
    series = [census.buckets[bucket].counts[position] for bucket in buckets]
    return buckets[onset(reference.features[position].counts, series)]


def _population(reference: ReferenceProfile, census: Census, position: int) -> Cause:
    profile = reference.features[position]
    start = _onset(reference, census, position)
    day = start * census.bucket_hours // HOURS_A_DAY
    return Cause(
        feature=profile.name,
        kind="population",
        is_bug=False,
        share=None,
        share_before=None,
        detail={},
        since=_moment(day * HOURS_A_DAY * HOUR),
        since_is="day",
        first_request=None,
        first_at=None,
        trend=_trend(reference, census, position, start),
    )


def _bugs(
    reference: ReferenceProfile,
    census: Census,
    found: Sequence[Signature],
    read: Callable[[tuple[str, ...]], Iterable[Batch]],
) -> Iterator[Cause]:
    positions = {profile.name: at for at, profile in enumerate(reference.features)}
    sightings = _sight(census, found, read)
    buckets = sorted(census.buckets)
    for signature, seen in zip(found, sightings, strict=True):
        rows = np.array([census.buckets[bucket].rows for bucket in buckets])
        # The log may have grown between the two readings.
        hits = np.minimum([seen.hits.get(bucket, 0) for bucket in buckets], rows)
        before = signature.share_before * reference.rows
        at = onset((before, reference.rows - before), list(np.stack([hits, rows - hits], axis=1)))
        first = min((seen.first[b] for b in buckets[at:] if b in seen.first), default=None)
        yield Cause(
            feature=signature.feature,
            kind=signature.kind,
            is_bug=True,
            share=float(hits[at:].sum() / rows[at:].sum()),
            share_before=signature.share_before,
            detail=signature.detail,
            since=_moment(census.moment(buckets[at])),
            since_is="hour" if census.bucket_hours == 1 else "day",
            first_request=None if first is None else first[1],
            first_at=None if first is None else _moment(first[0]),
            trend=_trend(reference, census, positions[signature.feature], buckets[at]),
        )


def _sight(
    census: Census,
    found: Sequence[Signature],
    read: Callable[[tuple[str, ...]], Iterable[Batch]],
) -> list[_Sightings]:
    """Read the window again and count, by bucket, the rows that show each signature."""
    needed = {signature.feature for signature in found}
    needed |= {str(signature.detail["with"]) for signature in found if "with" in signature.detail}
    sightings = [_Sightings() for _ in found]
    for batch in read(tuple(sorted(needed))):
        assert batch.ids is not None
        buckets = batch.times // (HOUR * census.bucket_hours)
        for signature, seen in zip(found, sightings, strict=True):
            columns: Mapping[str, Column] = batch.columns
            rows = np.flatnonzero(signature.mask(columns))
            rows = rows[np.argsort(batch.times[rows], kind="stable")]
            found_in, starts, hits = np.unique(buckets[rows], return_index=True, return_counts=True)
            for bucket, start, count in zip(found_in.tolist(), starts, hits, strict=True):
                row = rows[start]
                here = (int(batch.times[row]), batch.ids.request_ids[row])
                seen.hits[bucket] = seen.hits.get(bucket, 0) + int(count)
                seen.first[bucket] = min(seen.first.get(bucket, here), here)
    return sightings


def _trend(reference: ReferenceProfile, census: Census, position: int, start: int) -> Trend | None:
    since = [
        bucket.counts[position] for at, bucket in sorted(census.buckets.items()) if at >= start
    ]
    return trend(reference.features[position].counts, since)


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
