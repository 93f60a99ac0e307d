"""How often each tool was right, as tables and as JSON."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from benchmarks.alarms_cells import Results
from benchmarks.alarms_others import WAYS
from benchmarks.alarms_outcomes import Ours, Rate

MOST_FALSE, LEAST_FOUND, LEAST_NAMED = 0.05, 0.90, 0.95

_CALM: dict[str, Callable[[Ours], bool]] = {
    "red": lambda one: one.red,
    "yellow\nor red": lambda one: one.alarm,
    "joint\ncheck": lambda one: one.joint,
    "a bug\nnamed": lambda one: one.accused,
}
_CHANGED: dict[str, Callable[[Ours], bool]] = {
    "found": lambda one: one.found,
    "right\ncause": lambda one: one.named,
    "right\nday": lambda one: one.day,
    "others\naccused": lambda one: one.accused,
}


def calm_table(results: Sequence[Results]) -> Table:
    """Windows without drift in which something was raised, in percent."""
    table = _table("No drift: windows with a false alarm, %", ("window", "reference"), _CALM)
    for one in results:
        first = (f"{one.cell.window:,}", f"{one.cell.reference:,}")
        theirs = [_theirs(one, way.name, "alarm") for way in WAYS]
        table.add_row(*first, *_ours(one, _CALM), *theirs)
    return table


def changed_table(results: Sequence[Results]) -> Table:
    """Windows with one change in which it was found, in percent."""
    table = _table("One change: windows in which it was found, %", ("change", "window"), _CHANGED)
    for one in results:
        first = (one.cell.name, f"{one.cell.window:,}")
        theirs = [_theirs(one, way.name, "found") for way in WAYS]
        table.add_row(*first, *_ours(one, _CHANGED), *theirs)
    return table


def verdict(calm: Sequence[Results], changed: Sequence[Results]) -> list[str]:
    """What was aimed at and what was reached, a line each."""
    shift = next(one for one in changed if one.cell.kind == "population")
    bugs = [one for one in changed if one.cell.kind != "population"]
    false = [Rate.of([found.alarm for found in one.ours]) for one in calm]
    named = [Rate.of([found.named for found in one.ours]) for one in bugs]
    dated = [Rate.of([f.day for f in one.ours if f.named]) for one in bugs]
    everywhere = Rate(sum(rate.hits for rate in false), sum(rate.trials for rate in false))
    return [
        f"false alarms, all cells: {_judged(everywhere, most=MOST_FALSE)}",
        f"false alarms, worst cell: {_judged(max(false, key=_share), most=MOST_FALSE)}",
        f"+0.5 sd found: "
        f"{_judged(Rate.of([found.found for found in shift.ours]), least=LEAST_FOUND)}",
        f"bugs named right, worst kind: {_judged(min(named, key=_share), least=LEAST_NAMED)}",
        f"of those dated to the right day, worst kind: "
        f"{_judged(min(dated, key=_share), least=LEAST_NAMED)}",
    ]


def as_json(results: Sequence[Results]) -> list[dict[str, Any]]:
    """Each cell with its rates, Wilson's intervals beside them."""
    return [
        {
            "cell": vars(one.cell),
            "ours": {
                name: Rate.of([getattr(found, name) for found in one.ours]).to_dict()
                for name in Ours.__dataclass_fields__
            },
            "others": {
                way: {
                    name: Rate.of([getattr(found, name) for found in said]).to_dict()
                    for name in ("alarm", "found")
                }
                for way, said in one.theirs.items()
                if said
            },
        }
        for one in results
    ]


def _table(title: str, first: Sequence[str], ours: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in first:
        table.add_column(name, justify="right", no_wrap=True)
    for name in (*(f"ours:\n{name}" for name in ours), *(w.name.replace(" ", "\n") for w in WAYS)):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _ours(one: Results, questions: dict[str, Callable[[Ours], bool]]) -> list[str]:
    return [str(Rate.of([ask(found) for found in one.ours])) for ask in questions.values()]


def _theirs(one: Results, way: str, question: str) -> str:
    said = one.theirs.get(way, ())
    return str(Rate.of([getattr(found, question) for found in said])) if said else "–"


def _share(rate: Rate) -> float:
    return rate.share if rate.trials else 0.0


def _judged(rate: Rate, *, most: float = 1.0, least: float = 0.0) -> str:
    """The rate with its interval, and whether it keeps the bound; the worst of many cells may
    break it by bad luck, which only more trials can tell."""
    if not rate.trials:
        return "never"
    low, high = (rate.to_dict()[end] for end in ("low", "high"))
    if least <= rate.share <= most:
        words = "reached"
    else:
        words = "undecided: take more --trials" if high >= least and low <= most else "NOT reached"
    aim = f"at least {least:.0%}" if least else f"at most {most:.0%}"
    return f"{rate.share:.1%}, 95 % interval {low:.1%} to {high:.1%} ({aim}: {words})"
