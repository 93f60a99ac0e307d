"""Are the answers still good: findings about drift, recall and labels. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from monitoring.status import remedies
from monitoring.status.facts import Drift, Facts, Interval, Performance
from monitoring.status.findings import Finding
from monitoring.status.storage_rules import IN_USE
from registry.tenure import duration

DEFAULT_FLOOR = 0.70
_STALE_REFRESHES = 3
_LEAST_STALE = timedelta(hours=1)
_DAY = timedelta(days=1)
_MOST_NAMES = 4


def recall(facts: Facts) -> Iterator[Finding]:
    """Realised recall below the floor."""
    found = facts.performance
    if not _about_champion(facts, found) or found.recall is None:
        return
    floor = DEFAULT_FLOOR if found.floor is None else found.floor
    if found.status == "inconclusive" or found.recall.value >= floor:
        return
    words = f"Recall is {interval(found.recall)}"
    commands: tuple[str, ...] = (remedies.recall(facts),)
    if found.recall.high is not None and found.recall.high < floor:
        sentence = f"{words}: the whole interval is below the floor of {floor:.2f}"
        commands = remedies.first(facts, "recall baixo", *commands)
        sentence += remedies.blame(facts)
        yield Finding("red", sentence, "DatathonRecallConfirmed", commands)
    else:
        sentence = f"{words}, below the floor of {floor:.2f}, which the interval still reaches"
        yield Finding("yellow", sentence, "DatathonRecallBreach", commands)


def drift(facts: Facts) -> Iterator[Finding]:
    """Features and the score; of a score that a new version may have moved, the version first."""
    found = facts.drift
    if not _about_champion(facts, found) or found.status not in ("red", "yellow"):
        return
    since = f" since {found.since:%Y-%m-%d %H:%M} UTC" if found.since else ""
    if found.status == "yellow":
        if not found.yellow and found.score != "yellow" and _is_estimate_low(facts):
            return  # which is what made the report yellow, and has a line of its own
        sentence = f"Drift in {names(found)}{since}: ask the data team"
        yield Finding("yellow", sentence, "DatathonDriftRed", (remedies.DRIFT,))
        return
    sentence = f"Strong drift in {names(found)}{since}"
    commands: tuple[str, ...] = (remedies.DRIFT,)
    if found.score == "red" and found.next_step != "fix_data":
        commands = remedies.first(facts, "score mudou", *commands)
        sentence += remedies.blame(facts)
    elif found.next_step == "roll_back_check" and facts.standing.rollback is not None:
        commands = (remedies.DRIFT, remedies.HISTORY, *remedies.rollback("drift red"))
    elif found.next_step == "fix_data":
        sentence += ": it looks like a data bug at the source, which no rollback mends"
    yield Finding("red", sentence, "DatathonDriftRed", commands)


def estimated_recall(facts: Facts) -> Iterator[Finding]:
    """Recall without labels, with its whole interval, below what labels must reach."""
    found = facts.drift
    if found.estimated is not None and _about_champion(facts, found) and _is_estimate_low(facts):
        sentence = f"Recall is estimated at {interval(found.estimated)}, floor {_floor(facts):.2f}"
        yield Finding("yellow", sentence, "DatathonEstimatedRecall", (remedies.DRIFT,))


def _is_estimate_low(facts: Facts) -> bool:
    """Whether the whole interval is below the floor; an inconclusive report has a handful of
    rows."""
    found = facts.drift
    if found.estimated is None or found.status == "inconclusive":
        return False
    best = found.estimated.value if found.estimated.high is None else found.estimated.high
    return best < _floor(facts)


def _floor(facts: Facts) -> float:
    return facts.performance.floor or DEFAULT_FLOOR


def reports_failing(facts: Facts) -> Iterator[Finding]:
    """A background report that should be there and cannot be made; that the champion is not in the
    store is told by its own rule."""
    champion = facts.standing.champion
    if champion is not None and not champion.registered:
        return
    for kind, found in (("drift", facts.drift), ("performance", facts.performance)):
        if found.failing_since is not None:
            sentence = (
                f"The background {kind} report cannot be made since"
                f" {found.failing_since:%Y-%m-%d %H:%M} UTC: {found.problem}"
            )
            yield Finding("yellow", sentence, "DatathonReportsStale", (remedies.REFRESH,))


def reports_stale(facts: Facts) -> Iterator[Finding]:
    """The background reports stopped; a service that has just come up has made none yet."""
    if facts.drift.failing_since or facts.performance.failing_since:
        return
    refresh = facts.settings.refresh_seconds
    if not refresh or facts.health.status not in ("ok", "degraded"):
        return
    allowed = max(timedelta(seconds=_STALE_REFRESHES * refresh), _LEAST_STALE)
    uptime = timedelta(seconds=facts.health.uptime_seconds or 0.0)
    if uptime < allowed:
        return
    made = [one.made_at for one in (facts.drift, facts.performance) if one.made_at is not None]
    if len(made) == 2 and facts.age(min(made)) <= allowed:
        return
    if len(made) < 2 and not facts.standing.alive:
        return  # of another state than the one looked at, which has no files here
    ago = duration(facts.age(min(made)).total_seconds()) if made else None
    words = f"are {ago} old" if ago and len(made) == 2 else "are missing"
    sentence = f"The background reports {words}; they are due every {duration(refresh)}"
    yield Finding("yellow", sentence, "DatathonReportsStale", (remedies.REFRESH, remedies.LOGS))


def no_labels(facts: Facts) -> Iterator[Finding]:
    """Labels came once and come no more, or are due and none came."""
    at, newest = facts.storage.labels_at, facts.storage.newest_row
    asked = newest is not None and facts.age(newest) < IN_USE
    if asked and at is not None and facts.age(at) / _DAY > _overdue_days(facts):
        ago = duration(facts.age(at).total_seconds())
        sentence = f"No labels were imported for {ago}: recall is not known any more"
    elif facts.performance.coverage == 0:
        sentence = "Labels are due and none is there: recall is not known"
    else:
        return
    yield Finding("yellow", sentence, "DatathonNoLabels", (remedies.IMPORT_LABELS,))


def _overdue_days(facts: Facts) -> float:
    """From one import to the next; right after a promote there is no report that says it."""
    said = facts.performance.overdue_days
    return facts.settings.overdue_days if said is None else said


def interval(found: Interval) -> str:
    """`0.66 (0.61 to 0.71)`."""
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def names(found: Drift) -> str:
    """What drifted as much as the report says, the score first."""
    of_status: Sequence[str] = found.red if found.status == "red" else found.yellow
    shown = [*(["the score"] if found.score == found.status else []), *of_status]
    more = f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    return (", ".join(shown[:_MOST_NAMES]) or "all features together") + more


def _about_champion(facts: Facts, found: Drift | Performance) -> bool:
    """Whether the report says something of what serves now."""
    champion = facts.standing.champion
    serving = champion.version if champion is not None else facts.health.version
    return found.problem is None and found.version in (None, serving)


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    *(recall, drift, estimated_recall),
    *(reports_failing, reports_stale, no_labels),
)
