"""The commands of the runbook's first steps, as they can be pasted."""

import shlex
from datetime import timedelta

from monitoring.status.facts import Champion, Facts
from registry.tenure import duration

RECENT = timedelta(hours=24)
LOG_WORDS = "inference log"  # of a reason in /health
LOGS = "docker logs --since 1h datathon-api | grep ERROR | tail"
WHERE = 'echo "BENTOML_HOME=$BENTOML_HOME"; docker ps -a'
CONFIGURATION = (
    "python -c 'from registry import configuration; configuration.load()' 2>&1 | tail -1"
)
INSIDE = "docker exec datathon-api python -m monitoring.status"
RESTART = "docker restart datathon-api"
VERIFY = "python -m registry verify"
HISTORY = "python -m registry history"
KILLED = "dmesg -T | grep -i -E 'killed process|out of memory' | tail"
REFRESH = "python -m monitoring.refresh"
DISK = 'df -h "${BENTOML_HOME:-$HOME/bentoml}"'
COMPACT = "python -m monitoring.compact"
DRIFT = "python -m monitoring.drift_report --last_n_days 7"
IMPORT_LABELS = "python -m monitoring.labels import FILE --dry-run"


def find_state(port: int) -> str:
    """BENTOML_HOME of whoever listens; who has none set keeps its state in HOME/bentoml."""
    listener = f"$(ss -Hltnp 'sport = :{port}' | grep -o 'pid=[0-9]*' | head -1 | cut -d= -f2)"
    return f"tr '\\0' '\\n' < /proc/{listener}/environ | grep -E '^(BENTOML_)?HOME='"


def rollback(reason: str) -> tuple[str, str]:
    """First what it would do, then the rollback."""
    command = f"python -m registry rollback --reason {_quoted(reason)}"
    return (f"{command} --dry-run", command)


def recall(facts: Facts) -> str:
    """Over the days of the report that says so: labels are due only after months."""
    days = facts.settings.performance_days
    return f"python -m monitoring.performance_drift --window {days:g}"


def suspect(facts: Facts) -> Champion | None:
    """The champion, where it was promoted so lately that new trouble may be its fault, nothing else
    is known to be, and there is a version to go back to."""
    if log_failing(facts) or facts.standing.full:
        return None
    champion, target = facts.standing.champion, facts.standing.rollback
    if champion is None or champion.action != "promote" or target is None or not target.registered:
        return None
    return champion if facts.age(champion.since) < RECENT else None


def log_failing(facts: Facts) -> bool:
    """Whether rows are answered, or refused, that the inference log cannot take."""
    sample = facts.traffic.sample
    lost = sample is not None and sample.log_failures > 0
    return lost or LOG_WORDS in (facts.health.reason or "")


def blame(facts: Facts) -> str:
    """The half sentence about a suspect; empty without one."""
    champion = suspect(facts)
    if champion is None:
        return ""
    lasted = duration(max(facts.age(champion.since).total_seconds(), 0.0))
    return (
        f"; {champion.version} was promoted only {lasted} ago"
        f" ({champion.since:%Y-%m-%d %H:%M} UTC), so go back to"
        f" {facts.standing.rollback.version if facts.standing.rollback else ''}"
    )


def first(facts: Facts, reason: str, *otherwise: str) -> tuple[str, ...]:
    """The rollback where there is a suspect, and then what is to be done `otherwise`."""
    return (*rollback(reason), *otherwise) if suspect(facts) else otherwise


def _quoted(text: str) -> str:
    return f'"{text}"' if all(c.isalnum() or c in " %.,-" for c in text) else shlex.quote(text)
