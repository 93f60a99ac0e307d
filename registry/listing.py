"""What `list` and `history` show."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from rich.table import Table
from rich.text import Text

from registry import pointer, store, terminal
from registry.errors import IntegrityError
from registry.state import State

_SHOWN = ("recall", "precision", "pr_auc")


def collect(state: State, model: str | None) -> list[dict[str, Any]]:
    """One entry a version, lowest first; a damaged one says so instead of hiding the others."""
    names = store.models(state, model)
    try:
        champion = pointer.read(state)
    except IntegrityError:
        champion = None
    current = None if champion is None else (champion.model, champion.version)
    return [_facts(stored, current) for name in names for stored in store.versions(state, name)]


def show(facts: Sequence[dict[str, Any]]) -> None:
    """A table a model on the terminal, newest version first."""
    for _, entries in groupby(facts, key=itemgetter("model")):
        _show_model(list(entries))


def _show_model(facts: Sequence[dict[str, Any]]) -> None:
    table = Table(title=facts[0]["model"])
    table.add_column("version", no_wrap=True)
    table.add_column("trained (UTC)", overflow="fold")
    for name in ("recall", "precision", "PR-AUC"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("champion", justify="center", overflow="fold")
    for entry in reversed(facts):
        star = "★" if entry["champion"] else ""
        if entry["problem"]:
            table.add_row(entry["version"], "damaged", "", "", "", star, style="red")
            continue
        values = [_with_interval(entry["metrics"][name]) for name in _SHOWN]
        table.add_row(entry["version"], entry["created"].replace("T", "\n"), *values, star)
    console = terminal.console(markup=False)
    console.print(table)
    for entry in facts:
        if entry["problem"]:
            console.print(f"{entry['version']}: {entry['problem']}", style="red")


def show_history(events: Sequence[dict[str, Any]]) -> None:
    """A table on the terminal, newest move first."""
    table = Table(title="moves of the champion pointer")
    for name in ("generation", "at (UTC)", "action", "from", "to", "by", "reason"):
        table.add_column(name, overflow="fold")
    for event in reversed(events):
        cells = [event["generation"], event.get("at"), event["action"], event.get("from")]
        cells += [event["to"], event.get("by"), event.get("reason")]
        # A reason is anybody's text: as markup, a lone [/b] in it would raise.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))
    terminal.console().print(table)


def _facts(stored: store.Stored, current: tuple[str, str] | None) -> dict[str, Any]:
    version = str(stored.version)
    facts: dict[str, Any] = {"model": stored.model, "version": version}
    facts["champion"] = (stored.model, version) == current
    try:
        metrics = stored.document("metrics.json")["metrics"]
        for name in _SHOWN:
            _with_interval(metrics[name])
        facts["created"] = str(stored.document("provenance.json")["trained_at"])
        facts["metrics"] = metrics
        facts["problem"] = None
    except IntegrityError as error:
        facts |= {"created": None, "metrics": {}, "problem": str(error)}
    except (KeyError, TypeError, ValueError):
        problem = f"{stored.folder}: metrics.json or provenance.json lacks what is shown here"
        facts |= {"created": None, "metrics": {}, "problem": problem}
    return facts


def _with_interval(metric: dict[str, float | None]) -> str:
    if metric["value"] is None:
        return "undefined"
    return f"{metric['value']:.3f}\n{metric['low']:.3f}–{metric['high']:.3f}"
