"""What the runbook tells whoever comes to an alert's section to run."""

import shlex

from registry.state import PROJECT
from tests.runbook import blocks

RUNBOOK = PROJECT / "docs/runbook.md"
General = tuple[str, ...]

# What follows these is another word each night; what follows those is where and how long to look.
_VARYING = {
    "--reason",
    "--version",
    "--new_version",
    "--data",
    "--from",
    "--last_n_days",
    "--window",
}
_PASSING = {"--url", "--seconds"}


def general(command: str) -> General:
    """The words of a command, without what differs from one incident to the next."""
    found: list[str] = []
    words = iter(shlex.split(command))
    for word in words:
        if word in _PASSING:
            next(words)
            continue
        found.append(word)
        if word in _VARYING:
            next(words)
            found.append("…")
    return tuple(found)


def commands(alert: str) -> set[General]:
    """Of the alert's section, of those that it links to, and what everybody runs first."""
    read = blocks.read(RUNBOOK)
    headings = {read[0].section, alert, *blocks.linked(RUNBOOK, alert)}
    return {
        general(command.text)
        for block in read
        if block.section in headings
        for command in block.commands
    }
