"""What a person sees of a drill: lines as it goes, its timeline at the end, and a table of all."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from monitoring.drills.timeline import STAGES, StageName, Timeline
from registry import terminal

_WORDS: dict[StageName, str] = {
    "start": "start",
    "fault": "fault",
    "alert": "alert",
    "diagnosis": "diagnosed",
    "recovery": "recovered",
    "resolution": "alert over",
}


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def title(name: str, fault: str) -> None:
    """What comes now."""
    say(f"\n{name}: {fault}")


def show(timeline: Timeline) -> None:
    """How it went, in a few lines."""
    reached = [(name, timeline.at(name)) for name in STAGES[1:]]
    told = [f"{_WORDS[name]} {at:.1f} s" for name, at in reached if at is not None]
    if told:
        say(" → ".join(told))
    if timeline.outcome == "recovered":
        took = timeline.command_seconds()
        say(f"recovered; the commands from the alert on took {took:.1f} s")
    elif timeline.impossible:
        say(str(timeline.problem))
    else:
        say(f"NOT RECOVERED, stage {timeline.failed_stage}: {timeline.problem}")
    others = [
        name if name in timeline.told else f"{name} (silenced)"
        for name in timeline.fired
        if name != timeline.alert
    ]
    if others:
        say(f"fired beside {timeline.alert}: {', '.join(others)}")


def summary(timelines: Sequence[Timeline]) -> None:
    """Every drill in a line; seconds from the fault on."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("drill", no_wrap=True)
    for name in (*(_WORDS[stage] for stage in STAGES[2:]), "commands", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for timeline in timelines:
        times = [timeline.at(name) for name in STAGES[2:]]
        requests = sum(stage.requests for stage in timeline.stages)
        failed = sum(stage.failed for stage in timeline.stages)
        table.add_row(
            timeline.drill if timeline.outcome == "recovered" else f"{timeline.drill} ✗",
            *("–" if at is None else f"{at:.1f} s" for at in times),
            f"{timeline.command_seconds():.1f} s",
            f"{failed} of {requests}",
        )
    terminal.console().print(table)
