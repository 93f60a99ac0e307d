"""The drift report's thinking, from the rows of a window to one document; no files, no clock.

One pass counts; where something changed, a second one finds its first hour and request. Memory
does not grow with the rows.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from monitoring.drift import multivariate
from monitoring.drift.causes import Cause, signatures, trace
from monitoring.drift.census import HOUR, HOURS_A_DAY, Census
from monitoring.drift.comparison import ALARMS, DriftReport, Status, judge, overall
from monitoring.drift.explanation import Explained, explain
from monitoring.log.reading import Batch, Query, entity_codes
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
    sample = census.sample.rows
    report = judge(subject.reference, census.totals(census.buckets), census.entity_count(), limits)
    causes: list[Cause] = []
    joint = None
    if report.entities >= limits.min_rows:
        found = signatures(subject.reference, subject.schema, census, sample, report)
        causes = trace(
            subject.reference,
            census,
            report,
            found,
            lambda names: read(Query(subject.version, start, end, names, ids=True)),
        )
        report = report.at_least_yellow({cause.feature for cause in causes})
        causes = _ranked(subject, sample, report, causes)
        joint = _together(subject, sample, report, limits)
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


def hold_estimate(document: Mapping[str, Any], *, recall_floor: float) -> dict[str, Any]:
    """The document of `analyse` with its estimated recall held against the floor: at least yellow
    where the whole 95 % interval lies below it, as chance alone puts a model near its floor there
    every other day, and never where there are too few rows for a colour.

    A data bug comes first, and so does drift that is red; else the version is asked about.
    """
    recall = document["estimate"] and document["estimate"]["metrics"]["recall"]
    known = recall and recall["high"] is not None and document["status"] != "inconclusive"
    below = bool(known and recall["high"] < recall_floor)
    held = {**document, "recall_floor": recall_floor, "estimate_below_floor": below}
    if not below or document["status"] == "red":
        return held
    step = document["next_step"]
    return held | {
        "status": "yellow",
        "next_step": step if step == "fix_data" else "roll_back_check",
    }


def _limits(limits: DriftLimits) -> dict[str, float]:
    return {name: getattr(limits, name) for name in ("yellow", "red", "max_q", "min_rows")}


def _days(subject: Subject, census: Census, limits: DriftLimits) -> list[dict[str, Any]]:
    """Each day with rows, judged by itself."""
    days = []
    for day, buckets in census.days().items():
        totals = census.totals(buckets)
        entities = min(census.entities[day].count, int(totals[-1].sum()))
        report = judge(subject.reference, totals, entities, limits)
        drifts = (report.score, *report.features)
        days.append(
            {
                "day": datetime.fromtimestamp(day * HOURS_A_DAY * HOUR / 1e6, UTC)
                .date()
                .isoformat(),
                "rows": report.rows,
                "entities": report.entities,
                "status": report.status,
                "psi": {drift.name: drift.psi for drift in drifts},
                "noise": {drift.name: drift.noise for drift in drifts},
                "statuses": {drift.name: drift.status for drift in drifts},
            }
        )
    return days


def _ranked(
    subject: Subject, sample: Batch, report: DriftReport, causes: list[Cause]
) -> list[Cause]:
    """With each one's effect on the score, the largest first."""
    if not causes:
        return []
    names = [cause.feature for cause in causes]
    effects: Mapping[str, Explained] = {}
    # A verdict must not be lost because the model cannot be loaded any more.
    with suppress(RegistryError):
        effects = explain(subject.load(), subject.reference, sample.columns, names, seed=SEED)
    psi = {drift.name: drift.psi for drift in report.features}
    explained = [cause.explained(effects.get(cause.feature)) for cause in causes]
    return sorted(explained, key=lambda c: (-(c.score_moved or 0.0), -psi[c.feature]))


def _together(
    subject: Subject, sample: Batch, report: DriftReport, limits: DriftLimits
) -> dict[str, Any] | None:
    """Whether all features taken together tell the window from the reference."""
    if subject.coded is None:
        return None
    found = multivariate.tell_apart(
        subject.reference, subject.coded, sample.columns, entity_codes(sample.entities), seed=SEED
    )
    status = multivariate.status(found, entities=report.entities, min_rows=limits.min_rows)
    return {
        "status": status,
        "auc": found.auc.to_dict(),
        "reference_rows": found.reference_rows,
        "window_rows": found.window_rows,
        "leading": list(found.leading),
    }


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
