"""The model's answers and what is kept of them on the screen. Pure."""

from collections.abc import Iterator

from monitoring.status import remedies
from monitoring.status.facts import Drift, Facts, Interval, Performance
from monitoring.status.model_rules import interval, names
from monitoring.status.service_lines import Line, ago


def lines(facts: Facts) -> Iterator[Line]:
    """From drift to the disk."""
    yield "drift", _drift(facts)
    yield "recall", _recall(facts)
    yield "labels", _labels(facts)
    yield "log", _log(facts)
    yield "disk", _disk(facts)


def _drift(facts: Facts) -> str:
    found = facts.drift
    if found.problem is not None or found.status is None:
        return _not_made(facts, found)
    where = f" in {names(found)}" if found.status in ("red", "yellow") else ""
    since = f" since {found.since:%Y-%m-%d %H:%M} UTC" if found.since and where else ""
    return f"{found.status}{where}{since}{_as_of(facts, found)}"


def _recall(facts: Facts) -> str:
    found, estimated = facts.performance, facts.drift.estimated or facts.performance.estimated
    if found.recall is not None:
        words = f"{_short(found.recall)} by labels"
        words += ", inconclusive" if found.status == "inconclusive" else ""
    elif found.problem is not None or found.status is None:
        words = f"by labels not known: {_not_made(facts, found)}"
    else:
        reason = f", {found.reason.replace('_', ' ')}" if found.reason else ""
        words = f"by labels not known ({found.status}{reason})"
    words += f", estimated {_short(estimated)}" if estimated is not None else ""
    return words + (f", floor {found.floor:.2f}" if found.floor is not None else "")


def _short(found: Interval) -> str:
    """`0.66 (0.61–0.71)`."""
    return interval(found).replace(" to ", "–")


def _labels(facts: Facts) -> str:
    found, at = facts.performance, facts.storage.labels_at
    words = f"{found.coverage:.0%} of those due" if found.coverage is not None else "none due"
    words = words if found.status is not None else "coverage not known"
    words += f", {found.labelled:,} labelled" if found.labelled is not None else ""
    words += f", last import {ago(facts, at) if at is not None else 'never'}"
    return words + (_as_of(facts, found) if found.status is not None else "")


def _log(facts: Facts) -> str:
    found, reason = facts.storage, facts.health.reason or ""
    if found.problem is not None:
        return f"cannot be read: {found.problem}"
    failing = "FAILING; " if remedies.LOG_WORDS in reason else ""
    total = facts.traffic.total
    lost = f"; {total.log_failures:g} batches lost since the start" if total else ""
    lost = lost if total is not None and total.log_failures else ""
    if found.day is None:
        return f"{failing}empty{lost}"
    row = f"newest row {ago(facts, found.newest_row)}" if found.newest_row else "no row"
    return f"{failing}{row}; {found.day} has {_bytes(found.day_bytes)}{lost}"


def _disk(facts: Facts) -> str:
    free, share = facts.storage.free_bytes, facts.storage.free_share
    return f"{_bytes(free)} free ({share:.0%})" if free is not None and share is not None else "?"


def _not_made(facts: Facts, found: Drift | Performance) -> str:
    words = found.problem or "no report"
    return f"{words}{_as_of(facts, found)}"


def _as_of(facts: Facts, found: Drift | Performance) -> str:
    """How old a report is, and whose where it is not the champion's."""
    if found.made_at is None:
        return ""
    champion = facts.standing.champion
    other = found.version is not None and champion and champion.version != found.version
    whose = f" of {found.version}, not the champion's" if other else ""
    return f"; as of {ago(facts, found.made_at)}{whose}"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
