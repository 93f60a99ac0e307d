"""The drift report's thinking, from the rows of a window to one document; no files, no clock.

One pass counts; where something changed, a second one finds its first hour and request. Memory
does not grow with the rows.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monitoring.drift import multivariate
from monitoring.drift.causes import Cause, signatures, trace
from monitoring.drift.census import HOUR, HOURS_A_DAY, Census
from monitoring.drift.comparison import ALARMS, DriftReport, Status, judge, overall
from monitoring.drift.explanation import Explained, explain
from monitoring.log.reading import NOBODY, Batch, Query
from monitoring.performance import cbpe
from monitoring.performance.calibrator import CalibrationReference
from monitoring.performance.evaluation import Estimate
from monitoring.reference.coded_rows import CodedRows
from monitoring.reference.profile import ReferenceProfile
from registry.configuration import DriftLimits
from registry.errors import RegistryError
from registry.schema import Schema

if TYPE_CHECKING:  # it brings the model's libraries, a second that most reports can do without
    from registry.loaded import LoadedVersion

SEED = 0  # the same window always gets the same report
LONGEST_BY_HOUR = 31  # days; in a longer window the buckets are days
RESAMPLES = 200

Read = Callable[[Query], Iterator[Batch]]


@dataclass(frozen=True)
class Subject:
    """What a window is held against: the facts that a version keeps.

    `training` has the version's metrics by name; `calibration` and `coded` are None where the
    version does not keep them, and then the estimate or the multivariate check is missing.
    """

    version: str
    schema: Schema
    threshold: float
    reference: ReferenceProfile
    training: Mapping[str, Estimate]
    calibration: CalibrationReference | None
    coded: CodedRows | None
    load: Callable[[], "LoadedVersion"]


def analyse(
    subject: Subject, start: datetime, end: datetime, read: Read, limits: DriftLimits
) -> dict[str, Any] | None:
    """The part of the drift document (docs/reports.md) that comes from the rows; None without any.

    `read` is asked for the window once, and again where a data bug shows.
    """
    bucket_hours = 1 if (end - start).total_seconds() <= LONGEST_BY_HOUR * 86400 else HOURS_A_DAY
    census = Census(
        subject.reference, threshold=subject.threshold, bucket_hours=bucket_hours, seed=SEED
    )
    for batch in read(Query(subject.version, start, end, subject.schema.names)):
        census.add(batch)
    if census.rows == 0:
        return None
    report = judge(subject.reference, _totals(census), census.entity_count(), limits)
    causes: list[Cause] = []
    joint = None
    if report.entities >= limits.min_rows:
        found = signatures(subject.reference, subject.schema, census, report)
        causes = trace(
            subject.reference,
            census,
            report,
            found,
            lambda names: read(Query(subject.version, start, end, names, ids=True)),
        )
        report = report.at_least_yellow({cause.feature for cause in causes})
        causes = _ranked(subject, census, report, causes)
        joint = _together(subject, census, report, limits)
    status = report.status
    if joint is not None and joint["status"] in ALARMS:
        status = overall(joint["status"], [report.status])
    return {
        **report.to_dict(),
        "status": status,
        "rows_without_entity": census.anonymous,
        "limits": _limits(limits),
        "days": _days(subject, census, limits),
        "multivariate": joint,
        "causes": [asdict(cause) for cause in causes],
        "score_shift": _score_shift(subject, census),
        "estimate": _estimate(subject, census, report),
        "next_step": _next_step(status, causes),
    }


def _totals(census: Census) -> list[NDArray[np.int64]]:
    buckets = list(census.buckets.values())
    return [
        np.sum([bucket.counts[position] for bucket in buckets], axis=0)
        for position in range(len(buckets[0].counts))
    ]


def _limits(limits: DriftLimits) -> dict[str, float]:
    return {name: getattr(limits, name) for name in ("yellow", "red", "max_q", "min_rows")}


def _days(subject: Subject, census: Census, limits: DriftLimits) -> list[dict[str, Any]]:
    """Each day with rows, judged by itself."""
    days = []
    for day, numbers in census.days().items():
        buckets = [census.buckets[number] for number in numbers]
        totals = [np.sum(parts, axis=0) for parts in zip(*(b.counts for b in buckets), strict=True)]
        rows = sum(bucket.rows for bucket in buckets)
        report = judge(subject.reference, totals, min(census.entities[day].count, rows), limits)
        drifts = (report.score, *report.features)
        names = ["score", *(drift.name for drift in report.features)]
        days.append(
            {
                "day": datetime.fromtimestamp(day * HOURS_A_DAY * HOUR / 1e6, UTC)
                .date()
                .isoformat(),
                "rows": report.rows,
                "entities": report.entities,
                "status": report.status,
                "psi": {name: drift.psi for name, drift in zip(names, drifts, strict=True)},
                "noise": {name: drift.noise for name, drift in zip(names, drifts, strict=True)},
                "statuses": {name: drift.status for name, drift in zip(names, drifts, strict=True)},
            }
        )
    return days


def _ranked(
    subject: Subject, census: Census, report: DriftReport, causes: list[Cause]
) -> list[Cause]:
    """With each one's effect on the score, the largest first."""
    if not causes:
        return []
    names = [cause.feature for cause in causes]
    effects: Mapping[str, Explained] = {}
    # A verdict must not be lost because the model cannot be loaded any more.
    with suppress(RegistryError):
        version, rows = subject.load(), census.sample.rows
        effects = explain(version, subject.reference, rows.columns, names, seed=SEED)
    psi = {drift.name: drift.psi for drift in report.features}
    explained = [cause.explained(effects.get(cause.feature)) for cause in causes]
    return sorted(explained, key=lambda c: (-(c.score_moved or 0.0), -psi[c.feature]))


def _together(
    subject: Subject, census: Census, report: DriftReport, limits: DriftLimits
) -> dict[str, Any] | None:
    """Whether all features taken together tell the window from the reference."""
    if subject.coded is None:
        return None
    rows = census.sample.rows
    found = multivariate.tell_apart(
        subject.reference, subject.coded, rows.columns, _codes(rows), seed=SEED
    )
    status = multivariate.status(found, entities=report.entities, min_rows=limits.min_rows)
    return {
        "status": status,
        "auc": found.auc.to_dict(),
        "reference_rows": found.reference_rows,
        "window_rows": found.window_rows,
        "leading": list(found.leading),
    }


def _codes(rows: Batch) -> NDArray[np.int64]:
    """A code for whom each row is about, shape (rows,); a row without an entity is its own."""
    _, codes = np.unique(rows.entities, return_inverse=True)
    alone = rows.entities == NOBODY
    codes[alone] = len(codes) + np.arange(np.count_nonzero(alone))
    return codes.astype(np.int64)


def _score_shift(subject: Subject, census: Census) -> dict[str, float | None]:
    scores = census.scores
    before = None if subject.calibration is None else subject.calibration.scores
    return {
        "mean_before": None if before is None else float(before.mean()),
        "mean_now": float(scores.values @ scores.counts / scores.rows),
        "flagged_before": None if before is None else float((before >= subject.threshold).mean()),
        "flagged_now": float(scores.counts[scores.flagged].sum() / scores.rows),
    }


def _estimate(subject: Subject, census: Census, report: DriftReport) -> dict[str, Any] | None:
    if subject.calibration is None:
        return None
    estimated = cbpe.estimate(
        subject.calibration,
        census.scores,
        rows_per_entity=report.rows / report.entities,
        resamples=RESAMPLES,
        seed=SEED,
    )
    training = {name: metric.to_dict() for name, metric in subject.training.items()}
    return {**estimated.to_dict(), "training": training}


def _next_step(status: Status, causes: list[Cause]) -> str:
    if any(cause.is_bug for cause in causes):
        return "fix_data"
    return {
        "green": "nothing",
        "yellow": "watch",
        "red": "retrain_check",
        "inconclusive": "more_rows",
    }[status]
