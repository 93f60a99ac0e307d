"""Is what was predicted kept: findings about the inference log and its disk. Pure."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from monitoring.status import remedies
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding, Severity
from registry.tenure import duration

LITTLE_DISK, ALMOST_FULL = 0.10, 0.05
QUIET, IN_USE = timedelta(hours=6), timedelta(days=14)


def log_failing(facts: Facts) -> Iterator[Finding]:
    """Rows are answered, or refused, that the log cannot take."""
    reason, problem = facts.health.reason or "", facts.storage.problem
    if remedies.log_failing(facts):
        words = reason if remedies.LOG_WORDS in reason else "batches failed just now"
        sentence = f"The inference log cannot be written: {words}"
        yield Finding("red", sentence, "DatathonLogFailing", (remedies.DISK, remedies.COMPACT))
    elif problem is not None:
        sentence = f"The inference log cannot be read: {problem}"
        yield Finding("yellow", sentence, "DatathonLogFailing", (remedies.DISK,))


def disk_filling(facts: Facts) -> Iterator[Finding]:
    """The disk under the log; that the state's is full is told by its own rule."""
    share = facts.storage.free_share
    if share is None or share >= LITTLE_DISK or facts.standing.full:
        return
    sentence = f"The disk of the inference log has {share:.1%} left"
    commands = (remedies.DISK, remedies.COMPACT)
    severity: Severity = "red" if share < ALMOST_FULL else "yellow"
    yield Finding(severity, sentence, "DatathonDiskFilling", commands)


def no_predictions(facts: Facts) -> Iterator[Finding]:
    """It is up and nobody has asked it for long, though somebody did in the last two weeks."""
    newest, uptime = facts.storage.newest_row, facts.health.uptime_seconds
    if newest is None or facts.health.status != "ok" or uptime is None:
        return
    quiet = min(facts.age(newest), timedelta(seconds=uptime))
    busy = facts.traffic.sample is not None and facts.traffic.sample.predict is not None
    if quiet > QUIET and facts.age(newest) < IN_USE and not busy:
        ago = duration(facts.age(newest).total_seconds())
        sentence = f"No prediction for {ago}: a quiet night, or do the callers not come through?"
        command = f"curl -s {facts.health.url}/metadata | jq .example"
        yield Finding("yellow", sentence, "DatathonNoPredictions", (command,))


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    log_failing,
    disk_filling,
    no_predictions,
)
