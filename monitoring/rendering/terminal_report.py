"""A report on the terminal: tables first, the verdict and the next step last, above the prompt."""

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from monitoring.rendering import next_steps
from monitoring.rendering import tables as report_tables
from monitoring.rendering.tables import Table
from monitoring.rendering.wording import Document, Wording, stamp

_COLOURS = {"green": "green", "yellow": "yellow", "red": "red", "inconclusive": "magenta"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_LEAST_PSI, _MOST_PSI = 0.01, 10.0  # the lowest and the highest block
_MOST_DAYS = 60  # of a sparkline fit beside the names


def show(document: Document, lang: str, console: Console) -> None:
    """Print a drift or performance document (docs/reports.md), in `en` or `pt`."""
    words = Wording(lang)
    start, end = stamp(document["start"]), stamp(document["end"])
    console.print(f"[bold]{escape(words.title(document))}[/]")
    console.print(f"{words('head.window', start=start, end=end)}; {words.rows(document)}")
    sections = _drift if document["kind"] == "drift" else _performance
    for part in sections(document, words):
        console.print(part)
    if document["estimate"] is not None:
        for part in _estimate(document, words):
            console.print(part)
    console.print(f"\n{words.log_note(document)}")
    _show_verdict(document, words, console)


def _show_verdict(document: Document, words: Wording, console: Console) -> None:
    status = document["status"]
    word = f"[bold {_COLOURS[status]}]{words.status(status).upper()}[/]"
    console.print(f"\n{word}  {escape(words.verdict(document))}")
    step = next_steps.sentence(document, words)
    console.print(f"[bold]{words('head.next_step')}:[/] {escape(step)}")
    for command in next_steps.commands(document):
        console.print(f"  {escape(command)}", soft_wrap=True)


def _drift(document: Document, words: Wording) -> Iterator[RichTable | str]:
    yield _table(report_tables.features(document, words), words("h.features"))
    unclear = [f["name"] for f in document["features"] if f["status"] == "inconclusive"]
    if unclear:
        yield escape(words("note.unclear", names=words.names(unclear)))
    if len(document["days"]) > 1:
        yield _days(document, words)
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
    yield _table(metrics, words("h.metrics"))
    if document["weeks"]:
        yield _table(report_tables.weeks(document, words), words("h.weeks"))
    if document["segments"]:
        yield _table(report_tables.segments(document, words), words("h.segments"))
        hidden = len(document["segments"]) - len(report_tables.ranked_segments(document))
        if hidden:
            yield words("note.more", count=hidden)
    yield _table(report_tables.label_checks(document, words), words("h.labels"), prose=2)


def _estimate(document: Document, words: Wording) -> Iterator[RichTable | str]:
    estimate = document["estimate"]
    errors = document.get("estimate_error")
    table = report_tables.estimates(estimate["metrics"], estimate["training"], errors, words)
    yield _table(table, words("h.estimate"))
    yield words.estimate_note(estimate)


def _table(table: Table, title: str, prose: int = 0) -> RichTable:
    """A table whose column number `prose` is text, as the first is; the others are figures."""
    drawn = _empty(title)
    for place, column in enumerate(table.columns):
        is_text = place in (0, prose) or (place == 1 and table.statuses)
        drawn.add_column(escape(column), justify="left" if is_text else "right", overflow="fold")
    for place, row in enumerate(table.rows):
        cells = [escape(cell) for cell in row]
        if table.statuses:
            cells[1] = f"[{_COLOURS[table.statuses[place]]}]{cells[1]}[/]"
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


def _days(document: Document, words: Wording) -> RichTable:
    """A sparkline of PSI for what is worst; the last sixty days with rows."""
    days = document["days"][-_MOST_DAYS:]
    drawn = _empty(words("h.trend"))
    drawn.add_column(words("col.feature"), overflow="fold")
    drawn.add_column(f"{days[0]['day']} – {days[-1]['day']}", overflow="fold")
    for feature in report_tables.worst(document):
        name = feature["name"]
        blocks = _sparkline([day["psi"][name] for day in days])
        coloured = "".join(
            f"[{_COLOURS[day['statuses'][name]]}]{block}[/]"
            for day, block in zip(days, blocks, strict=True)
        )
        drawn.add_row(escape(name), coloured)
    return drawn


def _sparkline(values: Sequence[float]) -> str:
    """A block for each PSI, on a logarithmic scale from 0.01 or less to 10 or more."""
    span = math.log(_MOST_PSI / _LEAST_PSI)
    steps = (
        math.log(min(max(value, _LEAST_PSI), _MOST_PSI) / _LEAST_PSI) / span for value in values
    )
    return "".join(_BLOCKS[round(step * (len(_BLOCKS) - 1))] for step in steps)
