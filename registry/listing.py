"""What `list` and `history` show."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from registry import pointer, store
from registry.errors import IntegrityError
from registry.state import State

_SHOWN = ("recall", "precision", "pr_auc")


def collect(state: State, model: str | None) -> list[dict[str, Any]]:
    """One entry a version, lowest first; a damaged one says so instead of hiding the others."""
    name = store.model_name(state, model)
    try:
        champion = pointer.read(state)
    except IntegrityError:
        champion = None
    current = champion.version if champion is not None and champion.model == name else None
    return [_facts(stored, current) for stored in store.versions(state, name)]


def show(facts: Sequence[dict[str, Any]]) -> None:
    """A table on the terminal, newest version first."""
    table = Table(title=facts[0]["model"] if facts else "no versions")
    table.add_column("version")
    table.add_column("trained (UTC)")
    for name in ("recall", "precision", "PR-AUC"):
        table.add_column(name, justify="right")
    table.add_column("champion", justify="center")
    for entry in reversed(facts):
        if entry["problem"]:
            table.add_row(entry["version"], f"[red]{entry['problem']}[/red]")
            continue
        values = [_with_interval(entry["metrics"][name]) for name in _SHOWN]
        table.add_row(entry["version"], entry["created"], *values, "★" if entry["champion"] else "")
    Console(highlight=False).print(table)


def show_history(events: Sequence[dict[str, Any]]) -> None:
    """A table on the terminal, newest move first."""
    table = Table(title="moves of the champion pointer")
    for name in ("generation", "at (UTC)", "action", "from", "to", "by", "reason"):
        table.add_column(name)
    for event in reversed(events):
        cells = [event["generation"], event.get("at"), event["action"], event.get("from")]
        cells += [event["to"], event.get("by"), event.get("reason")]
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    Console(highlight=False).print(table)


def _facts(stored: store.Stored, current: str | None) -> dict[str, Any]:
    version = str(stored.version)
    facts: dict[str, Any] = {"model": stored.model, "version": version}
    facts["champion"] = version == current
    try:
        metrics = stored.document("metrics.json")["metrics"]
        facts["created"] = stored.document("provenance.json")["trained_at"]
        facts["metrics"] = {name: metrics[name] for name in metrics}
        facts["problem"] = None
    except (IntegrityError, KeyError, TypeError) as error:
        facts |= {"created": None, "metrics": {}, "problem": f"damaged: {error}"}
    return facts


def _with_interval(metric: dict[str, float | None]) -> str:
    if metric["value"] is None:
        return "undefined"
    return f"{metric['value']:.3f} ({metric['low']:.3f}–{metric['high']:.3f})"
