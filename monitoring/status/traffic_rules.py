"""How well it answers: findings about failures and latency. Pure."""

import shlex
from collections.abc import Callable, Iterator

from monitoring.status import remedies
from monitoring.status.facts import Facts, Period, Spread
from monitoring.status.findings import Finding, Severity

MOST_ERRORS = 0.01
SLOW_SECONDS, TOO_SLOW_SECONDS = 0.3, 0.5
ENOUGH_REQUESTS = 20


def errors(facts: Facts) -> Iterator[Finding]:
    """5xx above one in a hundred: now, or (with nothing now) since the start."""
    traffic = facts.traffic
    now, total = traffic.sample, traffic.total
    if now is not None and now.error_share > MOST_ERRORS:
        sentence = f"{_failed(now)} in the last {now.seconds:.1f} s{remedies.blame(facts)}"
        commands = remedies.first(facts, "5xx alto", remedies.LOGS)
        yield Finding("red", sentence, "DatathonErrors", commands)
    elif now is None and total is not None and total.error_share > MOST_ERRORS:
        seen = [group.last_seen for group in traffic.errors if group.last_seen]
        last = f", last exception {max(seen):%Y-%m-%d %H:%M:%S} UTC" if seen else ""
        sentence = f"{_failed(total)} since the start{last}; no request came in just now"
        yield Finding("yellow", sentence, "DatathonErrors", (remedies.LOGS,))


def latency(facts: Facts) -> Iterator[Finding]:
    """p95 of /predict; a short sample, or none, only makes one look longer."""
    now, total = facts.traffic.sample, facts.traffic.total
    current = now.predict if now is not None else None
    if current is not None:
        yield from _slow(facts, current, f"in the last {facts.traffic.sample_seconds:.1f} s")
    elif total is not None and total.predict is not None and total.predict.p95 > SLOW_SECONDS:
        too_slow = total.predict.p95 > TOO_SLOW_SECONDS
        section = "DatathonLatency" if too_slow else "DatathonLatencyWarning"
        sentence = (
            f"p95 of /predict is {_ms(total.predict)} since the start; no request came in just now"
        )
        yield Finding("yellow", sentence, section, (_longer(facts),))


def _slow(facts: Facts, current: Spread, when: str) -> Iterator[Finding]:
    if current.p95 <= SLOW_SECONDS:
        return
    too_slow = current.p95 > TOO_SLOW_SECONDS
    section = "DatathonLatency" if too_slow else "DatathonLatencyWarning"
    sentence = f"p95 of /predict is {_ms(current)} {when}"
    if current.count < ENOUGH_REQUESTS:
        sentence += f", but these are only {current.count:g} requests: look longer"
        yield Finding("yellow", sentence, section, (_longer(facts),))
        return
    commands = remedies.first(facts, "p95 alto", "top -b -n 1 | head -20", remedies.LOGS)
    severity: Severity = "red" if too_slow else "yellow"
    yield Finding(severity, sentence + remedies.blame(facts), section, commands)


def _longer(facts: Facts) -> str:
    return f"python -m monitoring.status --url {shlex.quote(facts.health.url)} --seconds 30"


def _failed(period: Period) -> str:
    return (
        f"{period.error_share:.1%} of requests answer 5xx"
        f" ({period.server_errors:g} of {period.requests:g})"
    )


def _ms(spread: Spread) -> str:
    return f"{spread.p95 * 1000:.0f} ms"


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (errors, latency)
