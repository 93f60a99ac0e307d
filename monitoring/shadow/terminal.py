"""The shadow report on the terminal: the figures first, then who is flagged differently, then what
the labels say."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.rendering.printable import printable_text
from monitoring.rendering.wording import stamp

_MOST_ROWS = 10
_STATUS = {"pass": "green", "fail": "red", "undecided": "magenta"}


def show(document: Mapping[str, Any], console: Console) -> None:
    """Print a shadow document; nothing in it is obeyed as markup."""
    title = f"{document['model']}:{document['model_version']} in the shadow"
    console.print(Text(title, style="bold"))
    for line in _lines(document):
        console.print(Text(line), soft_wrap=True)
    for words, key in (("Would be flagged", "newly"), ("No longer flagged", "no_longer")):
        _show_changed(words, document["flagged"][key], console)
    _show_labels(document["labels"], console)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    coverage, score, flagged = document["coverage"], document["score"], document["flagged"]
    champions = ", ".join(
        f"{one['model_version']} {one['scored']} of {one['answers']}"
        for one in coverage["champions"]
    )
    yield f"{stamp(document['start'])} to {stamp(document['end'])}"
    yield ""
    yield f"scored by both       {document['rows']} rows about {document['entities']} entities"
    yield (
        f"of all answers       {_percent(coverage['share'])}; from {stamp(coverage['first'])} "
        f"to {stamp(coverage['last'])} {_percent(coverage['share_meanwhile'])}"
    )
    yield f"by champion          {champions}"
    yield f"flags differ         {_interval(document['disagreement'], percent=True)} of rows"
    yield (
        f"score, mean          {score['champion_mean']:.3f} champion, "
        f"{score['challenger_mean']:.3f} challenger, difference {_interval(score['difference'])}"
    )
    yield (
        f"score, row by row    {score['mean_absolute_difference']:.3f} mean absolute difference, "
        f"PSI {score['psi']:.3f}"
    )
    yield (
        f"flagged              {flagged['champion']} champion, {flagged['challenger']} challenger: "
        f"{flagged['newly']['rows']} more, {flagged['no_longer']['rows']} no longer"
    )


def _show_changed(words: str, changed: Mapping[str, Any], console: Console) -> None:
    if not changed["rows"]:
        return
    shown = changed["shown"][:_MOST_ROWS]
    least = f", the {len(shown)} that differ most" if len(shown) < changed["rows"] else ""
    console.print(Text(f"\n{words}: {changed['rows']}{least}", style="bold"))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("prediction_id", overflow="fold")
    for column in ("champion", "its score", "challenger's"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in shown:
        table.add_row(
            Text(printable_text(row["prediction_id"])),
            row["champion_version"],
            f"{row['champion_score']:.3f}",
            f"{row['challenger_score']:.3f}",
        )
    console.print(table)


def _show_labels(labels: Mapping[str, Any], console: Console) -> None:
    console.print(Text("\nLabels", style="bold"))
    if not labels["labelled"]:
        console.print("none is known of these rows yet; `python -m monitoring.labels import FILE`")
        return
    console.print(f"{labels['labelled']} rows have one, {labels['positives']} are positive")
    for metric in ("recall", "precision"):
        champion, challenger = (labels[who][metric] for who in ("champion", "challenger"))
        console.print(
            f"{metric:<11}{_interval(champion)} champion, {_interval(challenger)} challenger"
        )
    for verdict in labels["verdicts"]:
        word = Text(verdict["status"].upper(), style=_STATUS[verdict["status"]])
        words = f"  against {verdict['champion']} on {verdict['rows']} rows"
        note = f": {verdict['note']}" if verdict["note"] else ""
        console.print(Text.assemble(word, words, note), soft_wrap=True)
        console.print(_checks(verdict["checks"]))


def _checks(checks: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("check", no_wrap=True)
    for column in ("champion", "challenger", "difference", "limit", "status"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for check in checks:
        difference = {"value": check["difference"], "low": check["low"], "high": check["high"]}
        table.add_row(
            check["name"],
            _figure(check["champion"]),
            _figure(check["challenger"]),
            _interval(difference),
            _figure(check["limit"]),
            Text(check["status"], style=_STATUS[check["status"]]),
            Text(printable_text(check["note"])),
        )
    return table


def _interval(estimate: Mapping[str, float | None], *, percent: bool = False) -> str:
    figure = _percent if percent else _figure
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if low is None or high is None:
        return figure(value)
    return f"{figure(value)} ({figure(low)} to {figure(high)})"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"
