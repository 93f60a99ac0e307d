"""The status on the terminal: the verdict, the facts a line each, then what to do.

Reasons, versions and answers are other people's text: shown as they are, and no control character
or markup in them is obeyed.
"""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitoring.rendering.printable import printable_text
from monitoring.status import judgement, model_lines, service_lines
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding

COLOURS = {"green": "green", "yellow": "yellow", "red": "red", "inconclusive": "magenta"}
VERDICTS = {
    "green": "Nothing to do.",
    "yellow": "Something to look at.",
    "red": "Act now.",
    "inconclusive": "Cannot tell.",
}
_MOST_FINDINGS = 3
_MOST_LETTERS = 140
_MOST_SENTENCE = 240


def draw(facts: Facts, findings: Sequence[Finding]) -> RenderableType:
    """The whole screen."""
    table = _table(_lines(facts))
    return Group(_head(facts, findings), table, *_contacts(facts), *_todo(findings))


def fitted(facts: Facts, findings: Sequence[Finding], console: Console) -> RenderableType:
    """The whole screen where the terminal is as high; else what to do stands first and whole, as
    many findings as there is room for, and the first of the facts take what is left."""

    def fits(screen: RenderableType) -> bool:
        return len(console.render_lines(screen)) <= console.height

    whole = draw(facts, findings)
    if fits(whole):
        return whole
    head, lines = _head(facts, findings), _lines(facts)
    tops = (Group(head, *_todo(findings, most)) for most in range(_MOST_FINDINGS, 0, -1))
    top = next(filter(fits, tops), Group(head, *_todo(findings, 1)))
    tables = (_table(lines[:count]) for count in range(len(lines), 0, -1))
    return next(filter(fits, (Group(top, table) for table in tables)), top)


def _lines(facts: Facts) -> tuple[service_lines.Line, ...]:
    return (*service_lines.lines(facts), *model_lines.lines(facts))


def _head(facts: Facts, findings: Sequence[Finding]) -> RenderableType:
    status = judgement.status(findings)
    head = Text(f"{status.upper()}  ", style=f"bold {COLOURS[status]}")
    head.append(VERDICTS[status], style="bold")
    head.append(f"  {facts.health.url}, {facts.now:%Y-%m-%d %H:%M:%S} UTC", style="dim")
    return head


def _table(lines: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, words in lines:
        table.add_row(name, Text(_cut(words)))
    return table


def _contacts(facts: Facts) -> Iterator[RenderableType]:
    """Who to call; an empty one is said aloud, because at night it is too late to ask."""
    for role, who in facts.settings.contacts:
        name = role.replace("_", " ")
        if who:
            yield Text(f"call {name}: ", style="bold").append(_cut(who), style="not bold")
        else:
            words = f"NO {name.upper()} CONTACT: fill in contacts.{role} in configuration.yaml"
            yield Text(words, style="bold reverse")


def _todo(findings: Sequence[Finding], most: int = _MOST_FINDINGS) -> Iterator[RenderableType]:
    """Of the worst all commands, of the others the first."""
    for place, finding in enumerate(findings[:most], start=1):
        head = Text(f"\n{place}. " if place == 1 else f"{place}. ", style="bold")
        head.append(f"{finding.severity.upper()} ", style=f"bold {COLOURS[finding.severity]}")
        head.append(_cut(finding.sentence, _MOST_SENTENCE), style="not bold")
        head.append(f" ({finding.runbook})", style="not bold dim")
        yield head
        for command in finding.commands if place == 1 else finding.commands[:1]:
            yield Text(f"   $ {printable_text(command)}", style="cyan", overflow="fold")
    if len(findings) > most:
        names = [finding.section or finding.sentence for finding in findings[most:]]
        yield Text(_cut(f"and {len(names)} more (--json): {', '.join(names)}"))


def _cut(words: str, most: int = _MOST_LETTERS) -> str:
    """One that is told a novel must still see the rest of the screen."""
    shown = printable_text(words)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
