"""Is the state that is looked at the service's, and does its disk still take anything: what makes
all else that is said of it wrong. Pure."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from monitoring.status import remedies
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding

SWAP = timedelta(seconds=10)  # as long as a promote waits for its workers


def is_another(facts: Facts) -> bool:
    """Whether the service surely follows another state: it serves what this one never had, or what
    this one left longer ago than a swap takes; and no worker here serves that.

    A worker of this state that was left behind says so in /health, and beats here.
    """
    health, standing = facts.health, facts.standing
    if not _can_tell(facts) or health.generation is None:
        return False
    served = (health.generation, health.version)
    if any((worker.generation, worker.version) == served for worker in standing.workers):
        return False
    if standing.never_had:
        return True
    champion = standing.champion
    if champion is None or health.status != "ok":
        return False
    seen = timedelta(seconds=facts.traffic.sample_seconds)  # /health was asked before it
    left = (champion.generation, champion.version) != served
    return left and facts.age(champion.since) > SWAP + seen


def another_state(facts: Facts) -> Iterator[Finding]:
    """The service that answers does not follow the state that is looked at."""
    health, standing = facts.health, facts.standing
    uptime = timedelta(seconds=health.uptime_seconds or 0.0)
    commands = (remedies.find_state(_port(health.url)), remedies.INSIDE)
    if is_another(facts):
        here = standing.champion.version if standing.champion else "no champion"
        sentence = (
            "Your commands act on another state than the service's: export BENTOML_HOME=..., that"
            " of the service (ask on its host, HTTP does not tell). It serves"
            f" {health.version} (generation {health.generation}), {standing.home} has {here}"
        )
        yield Finding("red", sentence, None, commands)
    elif _can_tell(facts) and not standing.workers and uptime > SWAP and not _own_model(facts):
        sentence = (
            f"The service has no heartbeat under {standing.home}: it follows another state, or it"
            " may not write there"
        )
        yield Finding("yellow", sentence, None, commands)


def disk_full(facts: Facts) -> Iterator[Finding]:
    """The disk under the state, to the last byte."""
    if facts.standing.full:
        sentence = (
            f"The disk of {facts.standing.home} is full: heartbeats cannot be written (healthy"
            " workers look silent), nor can moves and logs"
        )
        commands = (remedies.DISK, remedies.COMPACT)
        yield Finding("red", sentence, "DatathonDiskFilling", commands)


def _can_tell(facts: Facts) -> bool:
    """Whether the service answers to the end and the state is sound, with room for a heartbeat, or
    not there at all."""
    standing = facts.standing
    lost = standing.pointer_problem or standing.history_problem
    lost = lost or (standing.problem if standing.exists else None)
    told = facts.health.status is not None and facts.traffic.problem is None
    return told and not lost and not standing.full


def _own_model(facts: Facts) -> bool:
    """Whether a Bento without a champion serves, as it should."""
    return facts.health.generation == 0 and facts.standing.champion is None


def _port(url: str) -> int:
    found = urlsplit(url)
    return found.port or (443 if found.scheme == "https" else 80)


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (another_state, disk_full)
