"""A report on the terminal: tables first, the verdict and the next step last, above the prompt.

What stands in the document is shown as it is: no markup, no emoji, no control character of other
people's text is obeyed.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from monitoring.rendering import next_steps
from monitoring.rendering import tables as report_tables
from monitoring.rendering.printable import printable, printable_text
from monitoring.rendering.tables import Table
from monitoring.rendering.wording import Document, Wording, stamp

_COLOURS = {"green": "green", "yellow": "yellow", "red": "red", "inconclusive": "magenta"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_LEAST_PSI, _MOST_PSI = 0.01, 10.0  # the lowest and the highest block
_NAMES = 20  # columns that a sparkline leaves for the names beside it
_MOST_BY_DAY = 4  # features that fit beside the score


def show(document: Document, lang: str, console: Console, *, by_day: bool = False) -> None:
    """Print a drift or performance document (docs/reports.md), in `en` or `pt`; with `by_day`
    drift has a row for each day instead of a sparkline."""
    words, commands = Wording(lang), next_steps.commands(document)
    document = printable(document)
    start, end = stamp(document["start"]), stamp(document["end"])
    console.print(f"[bold]{escape(words.title(document))}[/]", emoji=False)
    console.print(f"{words('head.window', start=start, end=end)}; {words.rows(document)}")
    if document["kind"] == "drift":
        days = _by_day(document, words) if by_day else _trend(document, words, console.width)
        _show(_drift(document, words, days), console)
    else:
        _show(_performance(document, words), console)
    if document["estimate"] is not None:
        _show(_estimate(document, words), console)
    console.print(f"\n{words.log_note(document)}")
    if words.entity_note(document):
        console.print(words.entity_note(document))
    _show_verdict(document, words, console)
    for command in commands:
        console.print(Text(f"  {printable_text(command)}"), soft_wrap=True)


def _show(parts: Iterable[RichTable | str], console: Console) -> None:
    for part in parts:
        console.print(part, emoji=False)


def _show_verdict(document: Document, words: Wording, console: Console) -> None:
    status = document["status"]
    word = f"[bold {_COLOURS[status]}]{words.status(status).upper()}[/]"
    console.print(f"\n{word}  {escape(words.verdict(document))}", emoji=False)
    step = next_steps.sentence(document, words)
    console.print(f"[bold]{words('head.next_step')}:[/] {escape(step)}", emoji=False)


def _drift(
    document: Document, words: Wording, days: Iterable[RichTable | str]
) -> Iterator[RichTable | str]:
    yield draw(report_tables.features(document, words), words("h.features"))
    unclear = [f["name"] for f in document["features"] if f["status"] == "inconclusive"]
    if unclear:
        yield escape(words("note.unclear", names=words.names(unclear)))
    yield from days
    if document["multivariate"] is not None:
        yield f"\n[bold]{words('h.multivariate')}[/]"
        yield escape(words.joint_note(document["multivariate"]))
    yield f"\n[bold]{words('h.score')}[/]\n{words.score_note(document)}"
    if document["causes"]:
        yield f"\n[bold]{words('h.causes')}[/]"
    for place, cause in enumerate(document["causes"], start=1):
        kind = words("kind.bug") if cause["is_bug"] else words("kind.population")
        sentences = f"{words.cause(cause)} {words.effect(cause)}".strip()
        yield f"{place}. [bold]{kind}[/]: {escape(sentences)}"


def _performance(document: Document, words: Wording) -> Iterator[RichTable | str]:
    metrics = report_tables.estimates(document["metrics"], document["training"], None, words)
    yield draw(metrics, words("h.metrics"))
    if document["weeks"]:
        yield draw(report_tables.weeks(document, words), words("h.weeks"))
    if document["segments"]:
        yield draw(report_tables.segments(document, words), words("h.segments"))
        hidden = len(document["segments"]) - len(report_tables.ranked_segments(document))
        if hidden:
            yield words("note.more", count=hidden)
    yield draw(report_tables.label_checks(document, words), words("h.labels"), prose=2)


def _estimate(document: Document, words: Wording) -> Iterator[RichTable | str]:
    estimate = document["estimate"]
    errors = document.get("estimate_error")
    table = report_tables.estimates(estimate["metrics"], estimate["training"], errors, words)
    yield draw(table, words("h.estimate"))
    yield words.estimate_note(estimate)


def draw(
    table: Table, title: str, *, prose: int = 0, tail: Sequence[Sequence[str]] = ()
) -> RichTable:
    """A table whose column number `prose` is text, as the first is; the others are figures.
    `tail` has the statuses of each row's last cells, where they have any."""
    drawn = _empty(title)
    for place, column in enumerate(table.columns):
        is_text = place in (0, prose) or (place == 1 and table.statuses)
        justify: JustifyMethod = "left" if is_text else "right"
        drawn.add_column(Text(column), justify=justify, overflow="fold")
    for place, row in enumerate(table.rows):
        cells = [Text(cell) for cell in row]
        if table.statuses:
            cells[1].stylize(_COLOURS[table.statuses[place]])
        if tail:
            for cell, status in zip(cells[-len(tail[place]) :], tail[place], strict=True):
                cell.stylize(_COLOURS[status])
        drawn.add_row(*cells)
    return drawn


def _empty(title: str) -> RichTable:
    return RichTable(
        title=f"\n[bold]{escape(title)}[/]",
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def _by_day(document: Document, words: Wording) -> Iterator[RichTable]:
    """A row for each day with the PSI of the score and of the worst features, in its colour."""
    days = document["days"]
    names = [feature["name"] for feature in report_tables.worst(document)[: 1 + _MOST_BY_DAY]]
    if not days:
        return
    statuses = [[day["statuses"][name] for name in names] for day in days]
    drawn = draw(report_tables.days(document, names, words), words("h.trend"), tail=statuses)
    for column in drawn.columns[: -len(names)]:
        column.no_wrap = True  # a long name of a feature is folded instead
    yield drawn


def _trend(document: Document, words: Wording, width: int) -> Iterator[RichTable | str]:
    """A sparkline of PSI for what is worst, as many days to a block as the width asks for."""
    days = document["days"]
    if len(days) < 2:
        return
    most = min(report_tables.MOST_STEPS, max(width - _NAMES, 1))
    drawn = _empty(words("h.trend"))
    drawn.add_column(words("col.feature"), overflow="fold")
    drawn.add_column(f"{days[0]['day']} – {days[-1]['day']}", no_wrap=True)
    for feature in report_tables.worst(document):
        steps = report_tables.trend(document, feature["name"], most)
        blocks = Text()
        for step, block in zip(steps, _sparkline([step["psi"] for step in steps]), strict=True):
            blocks.append(block, _COLOURS[step["status"]])
        drawn.add_row(Text(feature["name"]), blocks)
    yield drawn
    if report_tables.days_a_step(document, most) > 1:
        yield words("note.groups", count=report_tables.days_a_step(document, most))


def _sparkline(values: Sequence[float]) -> str:
    """A block for each PSI, on a logarithmic scale from 0.01 or less to 10 or more."""
    span = math.log(_MOST_PSI / _LEAST_PSI)
    steps = (
        math.log(min(max(value, _LEAST_PSI), _MOST_PSI) / _LEAST_PSI) / span for value in values
    )
    return "".join(_BLOCKS[round(step * (len(_BLOCKS) - 1))] for step in steps)
