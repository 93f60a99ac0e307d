"""The service on the screen: a name and a line of words for each thing. Pure."""

from collections.abc import Iterator
from datetime import datetime

from monitoring.status import state_rules
from monitoring.status.facts import Facts, Period, Spread, Worker
from registry.tenure import duration

Line = tuple[str, str]
_MOST_WORKERS = 3
_MOST_GROUPS = 4


def lines(facts: Facts) -> Iterator[Line]:
    """From health to memory."""
    yield "health", _health(facts)
    yield from _champion(facts)
    yield "rollback", _rollback(facts)
    yield from _workers(facts)
    yield "requests", _requests(facts)
    yield "errors", _errors(facts)
    yield "/predict", _latency(facts)
    yield "batches", _batches(facts)
    yield "memory", _memory(facts)


def ago(facts: Facts, moment: datetime) -> str:
    """`2 min 3 s ago`."""
    return f"{duration(max(facts.age(moment).total_seconds(), 0.0))} ago"


def _health(facts: Facts) -> str:
    health = facts.health
    if health.status is None:
        return f"no answer: {health.problem}" if health.http_status is None else str(health.problem)
    words = health.status
    if health.version is not None:
        words += f", serves {health.version} (generation {health.generation})"
    if health.uptime_seconds is not None:
        words += f", up {duration(health.uptime_seconds)}"
    return f"{words}: {health.reason}" if health.reason else words


def _champion(facts: Facts) -> Iterator[Line]:
    standing, champion = facts.standing, facts.standing.champion
    if state_rules.is_another(facts):
        yield "state", f"NOT THE SERVICE'S; what follows is of {standing.home}"
    if champion is None:
        yield "champion", _no_champion(facts)
        return
    yield "champion", f"{champion.model}:{champion.version}, generation {champion.generation}"
    words = f"since {champion.since:%Y-%m-%d %H:%M} UTC ({ago(facts, champion.since)}), "
    words += f"{champion.action} by {champion.by or 'nobody named'}"
    words += f" from {champion.left}" if champion.left else ""
    words += ", forced" if champion.verdict == "forced" else ""
    yield "", f"{words}: {champion.reason}" if champion.reason else words
    if standing.pointer_problem is not None:
        yield "", "by the history: champion.json is lost"


def _no_champion(facts: Facts) -> str:
    standing = facts.standing
    if standing.pointer_problem or standing.problem:
        return str(standing.pointer_problem or standing.problem)
    if facts.health.generation == 0:
        return "none: the service serves its Bento's own model"
    return f"none under {standing.home}"


def _rollback(facts: Facts) -> str:
    target, alive = facts.standing.rollback, len(facts.standing.alive)
    if target is None:
        return "no earlier good champion"
    words = f"to {target.version}"
    if not target.registered:
        words += ", WHICH IS NOT IN THE MODEL STORE"
    elif alive:
        words += f", in memory of {target.resident} of {alive} workers"
    return f"{words}; before it {', '.join(target.further[:3])}" if target.further else words


def _workers(facts: Facts) -> Iterator[Line]:
    workers = facts.standing.workers
    if not workers:
        yield "workers", "no heartbeat"
    for place, worker in enumerate(workers[:_MOST_WORKERS]):
        yield "" if place else "workers", _worker(worker)
    if len(workers) > _MOST_WORKERS:
        yield "", f"and {len(workers) - _MOST_WORKERS} more"


def _worker(worker: Worker) -> str:
    words = f"{worker.name} serves {worker.version or 'nothing'}"
    words += "" if worker.generation is None else f" (generation {worker.generation})"
    others = [version for version in worker.resident if version != worker.version]
    words += f", has {', '.join(others)}" if others else ""
    words += f", shadow {worker.challenger}" if worker.challenger else ""
    words += "" if worker.alive else f", SILENT for {duration(worker.beat_seconds)}"
    return f"{words}: {worker.problem}" if worker.problem else words


def _requests(facts: Facts) -> str:
    traffic = facts.traffic
    if traffic.total is None:
        return f"not known: {traffic.problem or 'no /metrics'}"
    total = f"{traffic.total.requests:,.0f} since the start"
    if traffic.sample is None:
        return f"none in {traffic.sample_seconds:.1f} s; {total}, {_shares(traffic.total)}"
    rate = traffic.sample.requests / traffic.sample_seconds if traffic.sample_seconds else 0.0
    return f"{rate:.1f}/s, {_shares(traffic.sample)} in {traffic.sample_seconds:.1f} s; {total}"


def _shares(period: Period) -> str:
    client = period.client_errors / period.requests if period.requests else 0.0
    return f"5xx {period.error_share:.1%}, 4xx {client:.1%}"


def _errors(facts: Facts) -> str:
    if facts.traffic.total is None:
        return "not known"
    if not facts.traffic.errors:
        return "none since the start"
    words = []
    for group in facts.traffic.errors[:_MOST_GROUPS]:
        said = f"{group.name} ×{group.count:,.0f}"
        said += f" ({group.in_sample:,.0f} just now)" if group.in_sample else ""
        said += f", last {ago(facts, group.last_seen)}" if group.last_seen else ""
        words.append(said)
    more = len(facts.traffic.errors) - _MOST_GROUPS
    return "; ".join(words) + (f"; and {more} more kinds" if more > 0 else "")


def _latency(facts: Facts) -> str:
    total, sample = facts.traffic.total, facts.traffic.sample
    if sample is not None and sample.predict is not None:
        when = f"in {facts.traffic.sample_seconds:.1f} s"
        return _quantiles(sample.predict, 1000, "ms", when, "requests")
    if total is not None and total.predict is not None:
        return _quantiles(total.predict, 1000, "ms", "since the start", "requests")
    return "no prediction measured"


def _batches(facts: Facts) -> str:
    total, sample = facts.traffic.total, facts.traffic.sample
    if sample is not None and sample.batches is not None:
        when = f"in {facts.traffic.sample_seconds:.1f} s"
        return _quantiles(sample.batches, 1, "rows", when, "batches")
    if total is not None and total.batches is not None:
        return _quantiles(total.batches, 1, "rows", "since the start", "batches")
    return "none"


def _quantiles(spread: Spread, factor: float, unit: str, when: str, what: str) -> str:
    p50, p95, p99 = (f"{value * factor:,.3g}" for value in (spread.p50, spread.p95, spread.p99))
    return f"p50 {p50}, p95 {p95}, p99 {p99} {unit} {when} ({spread.count:,.0f} {what})"


def _memory(facts: Facts) -> str:
    known = [one.memory_bytes for one in facts.traffic.workers if one.memory_bytes is not None]
    return ", ".join(f"{size / 1e6:,.0f} MB" for size in known) or "not known"
