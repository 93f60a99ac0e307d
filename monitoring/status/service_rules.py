"""Is it up, and do all workers serve what they should: findings about the service. Pure."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from monitoring.status import remedies
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding, Severity
from monitoring.status.state_rules import SWAP
from registry.tenure import duration

_STUCK_SECONDS = 15.0
_RESTARTED_LATELY = timedelta(minutes=15)


def down(facts: Facts) -> Iterator[Finding]:
    """Nothing answers, or something that is not the service."""
    health, standing = facts.health, facts.standing
    if health.status is not None:
        return
    if health.http_status is not None:
        look = f"curl -si {health.url}/health | head -20"
        sentence = f"{health.url} answers, but {health.problem}"
        yield Finding("red", sentence, "DatathonDown", (look, remedies.LOGS))
        return
    sentence = f"Nothing answers at {health.url} ({health.problem})"
    alive = [worker.name for worker in standing.alive]
    untouched = standing.champion is None and standing.pointer_problem is None
    if not alive and untouched and (standing.problem is None or not standing.exists):
        sentence += f", and nothing was ever promoted under {standing.home}: right BENTOML_HOME?"
        yield Finding("inconclusive", sentence, "DatathonDown", (remedies.WHERE,))
    elif alive:
        sentence += f", though workers of this state are alive ({_names(alive)}): right --url?"
        yield Finding("red", sentence, "DatathonDown", (remedies.LOGS, remedies.RESTART))
    else:
        sentence += ", and no worker is alive"
        yield Finding("red", sentence, "DatathonDown", (remedies.LOGS, remedies.RESTART))


def no_champion(facts: Facts) -> Iterator[Finding]:
    """It answers, and has nothing to serve."""
    standing = facts.standing
    empty = [one.worker for one in facts.traffic.workers if one.serving is False]
    if facts.health.status != "unavailable" and not empty:
        return
    reason = facts.health.reason
    sentence = f"No version is served: {reason}" if reason else "A worker has no version to serve"
    if standing.pointer_problem is not None:
        commands: tuple[str, ...] = (remedies.VERIFY,)
    elif standing.champion is None:
        commands = ("python -m registry list", "python -m registry promote --version vX.Y.Z")
    elif standing.rollback is not None:
        commands = (remedies.VERIFY, *remedies.rollback("not served"))
    else:
        commands = (remedies.VERIFY, remedies.LOGS)
    yield Finding("red", sentence, "DatathonNoChampion", commands)


def champion_gone(facts: Facts) -> Iterator[Finding]:
    """What serves is only in memory: who starts anew, or rolls back to it, finds nothing."""
    champion, rollback = facts.standing.champion, facts.standing.rollback
    if champion is None or champion.registered or facts.health.status == "unavailable":
        return
    sentence = (
        f"The champion {champion.version} is not in the model store: whoever starts anew"
        " cannot serve it"
    )
    back = remedies.rollback("champion gone") if rollback and rollback.registered else ()
    yield Finding("red", sentence, "DatathonNoChampion", (remedies.VERIFY, *back))


def degraded(facts: Facts) -> Iterator[Finding]:
    """It serves, but something is wrong; what the inference log has is told by its own rule."""
    standing, health = facts.standing, facts.health
    workers = [(one.name, one.problem) for one in standing.alive if one.problem]
    marked = [one.worker for one in facts.traffic.workers if one.degraded]
    told = health.reason if health.status == "degraded" else None
    if told is not None and told.startswith(remedies.LOG_WORDS):
        told, marked = None, []
    problem = standing.pointer_problem or told or next((words for _, words in workers), None)
    if health.status == "unavailable" or (problem is None and not marked):
        return
    if standing.pointer_problem is not None:
        commands: tuple[str, ...] = (remedies.VERIFY,)
    elif workers:
        commands = remedies.first(facts, "worker degraded", remedies.VERIFY, remedies.LOGS)
    else:
        commands = (remedies.LOGS,)
    who = f" ({_names(name for name, _ in workers)})" if workers else ""
    sentence = f"Degraded{who}: {problem or f'worker {_names(marked)} says so'}"
    severity: Severity = "red" if standing.pointer_problem is not None else "yellow"
    yield Finding(severity, sentence, "DatathonDegraded", commands)


def generations(facts: Facts) -> Iterator[Finding]:
    """Workers that serve something else than the pointer, longer than a swap takes."""
    standing = facts.standing
    champion = standing.champion
    if champion is None or standing.pointer_problem or facts.age(champion.since) < SWAP:
        return
    others = [one for one in standing.alive if one.generation != champion.generation]
    others = [one for one in others if one.generation is not None]
    if others:
        which = _names(f"{one.name} serves {one.version} ({one.generation})" for one in others)
        sentence = f"champion.json says {champion.version} ({champion.generation}), but {which}"
        commands = (remedies.VERIFY, remedies.LOGS, remedies.RESTART)
        yield Finding("red", sentence, "DatathonGenerationsDisagree", commands)


def stuck(facts: Facts) -> Iterator[Finding]:
    """A worker whose process is there and which says nothing, though it could."""
    standing = facts.standing
    silent = [one.name for one in standing.workers if not one.alive and not standing.full]
    if facts.health.status is not None:
        silent += [
            f"worker {one.worker}"
            for one in facts.traffic.workers
            if one.beat_seconds is not None and one.beat_seconds > _STUCK_SECONDS
        ]
    if silent:
        sentence = f"Stuck: no heartbeat from {_names(silent)}"
        commands = (remedies.LOGS, remedies.RESTART)
        yield Finding("red", sentence, "DatathonWorkerStuck", commands)


def restarted(facts: Facts) -> Iterator[Finding]:
    """A worker that ended by itself a short while ago."""
    total, sample = facts.traffic.total, facts.traffic.sample
    if total is None or not total.restarts:
        return
    ages = [one.up_seconds for one in facts.standing.alive if one.up_seconds is not None]
    ages += [facts.health.uptime_seconds] if facts.health.uptime_seconds is not None else []
    youngest = min(ages, default=None)
    lately = youngest is not None and youngest < _RESTARTED_LATELY.total_seconds()
    if lately or (sample is not None and sample.restarts):
        ago = f", the last {duration(youngest)} ago" if youngest is not None else ""
        sentence = f"Workers ended unexpectedly: {total.restarts:g} since the start{ago}"
        yield Finding("yellow", sentence, "DatathonWorkerRestarted", (remedies.KILLED,))


def unreadable(facts: Facts) -> Iterator[Finding]:
    """What this command itself could not look at."""
    standing, reached = facts.standing, facts.health.status is not None
    if standing.problem is not None and (reached or standing.exists):
        sentence = f"The state cannot be looked at: {standing.problem}"
        yield Finding("yellow", sentence, None, (remedies.INSIDE,))
    if standing.history_problem is not None:
        yield Finding("yellow", standing.history_problem, None, (remedies.VERIFY,))
    if reached and facts.traffic.problem is not None:
        sentence = f"/metrics tells nothing: {facts.traffic.problem}"
        yield Finding("yellow", sentence, None, (f"curl -si {facts.health.url}/metrics | head",))
    if facts.settings.problem is not None:
        yield Finding("yellow", facts.settings.problem, None, (remedies.CONFIGURATION,))


def _names(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    *(down, no_champion, champion_gone, degraded, generations, stuck),
    *(restarted, unreadable),
)
