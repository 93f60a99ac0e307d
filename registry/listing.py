"""What `list` and `history` show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from rich.table import Table
from rich.text import Text

from registry import challenger, history, pointer, store, tenure, terminal
from registry.challenger import Challenger
from registry.errors import IntegrityError
from registry.pointer import Champion
from registry.state import State
from registry.versions import Version

_SHOWN = ("recall", "precision", "pr_auc")


def collect(state: State, model: str | None) -> list[dict[str, Any]]:
    """One entry a version, lowest first; a damaged one says so instead of hiding the others, and a
    champion that is gone is one."""
    names, events = store.models(state, model), pointer.events(state)
    held, left = tenure.terms(events), history.left_champions(events)
    champion, shadow = (_named(read, state) for read in (pointer.read, challenger.read))
    found = []
    for stored in (one for name in names for one in _versions(state, name, champion)):
        name = (stored.model, str(stored.version))
        standing = {"champion": name == champion, "challenger": name == shadow}
        standing["rolled_back"] = name in left
        found.append(_facts(stored) | standing | _tenure(held.get(name, [])))
    return found


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
    table.add_column("champion", overflow="fold")
    for entry in reversed(facts):
        standing = _standing(entry)
        if entry["problem"]:
            table.add_row(entry["version"], "damaged", "", "", "", standing, style="red")
            continue
        values = [_with_interval(entry["metrics"][name]) for name in _SHOWN]
        table.add_row(entry["version"], entry["created"].replace("T", "\n"), *values, standing)
    console = terminal.console(markup=False)
    console.print(table)
    for entry in facts:
        if entry["problem"]:
            console.print(f"{entry['version']}: {entry['problem']}", style="red")


def show_history(events: Sequence[dict[str, Any]]) -> None:
    """A table on the terminal, newest move first."""
    table = Table(title="moves of the champion pointer")
    for name in ("generation", "at (UTC)", "action", "from", "to", "by", "verdict", "reason"):
        table.add_column(name, overflow="fold", no_wrap=name.startswith("at"))
    for event in reversed(events):
        cells = [event["generation"], event.get("at"), event["action"], event.get("from")]
        cells += [event["to"], event.get("by"), _verdict(event), event.get("reason")]
        # A reason is anybody's text: as markup, a lone [/b] in it would raise.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))
    terminal.console().print(table)


def _named(
    read: Callable[[State], Champion | Challenger | None], state: State
) -> tuple[str, str] | None:
    """Who a file names; nobody where it is damaged, which `verify` tells."""
    try:
        found = read(state)
    except IntegrityError:
        return None
    return None if found is None else (found.model, found.version)


def _versions(state: State, model: str, champion: tuple[str, str] | None) -> list[store.Stored]:
    """The registered versions of a model, and its champion, though it should be lost."""
    found = store.versions(state, model)
    if champion is None or champion[0] != model:
        return found
    version = Version.parse(champion[1])
    if all(stored.version != version for stored in found):
        found.append(store.Stored(model, version, state.models / model / str(version)))
    return sorted(found, key=lambda stored: stored.version)


def _tenure(held: Sequence[tenure.Term]) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "terms": [asdict(term) for term in held],
        "champion_seconds": round(sum(term.seconds(now) for term in held)),
    }


def _standing(entry: Mapping[str, Any]) -> str:
    """Whether it is champion, since when, for how long in all, and how it ended."""
    if not entry["terms"]:
        return "challenger" if entry["challenger"] else ""
    last, lasted = entry["terms"][-1], tenure.duration(entry["champion_seconds"])
    if entry["champion"]:
        return f"★ {lasted}\nsince {last['since']}"
    if last["until"] is None:
        return f"{lasted}\nthe last one: the pointer is lost,\nsee `python -m registry verify`"
    rolled = entry["rolled_back"] and last["ended_by"] == "rollback"
    words = f"{lasted}\n{'rolled back' if rolled else 'until'} {last['until']}"
    if entry["rolled_back"] and not rolled:
        words += "\nleft by a rollback"
    return f"{words}\nchallenger" if entry["challenger"] else words


def _verdict(event: Mapping[str, Any]) -> str:
    verdict = event.get("verdict") or {}
    return "forced" if verdict.get("forced") else str(verdict.get("status", ""))


def _facts(stored: store.Stored) -> dict[str, Any]:
    facts: dict[str, Any] = {"model": stored.model, "version": str(stored.version)}
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
