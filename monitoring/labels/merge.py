"""What a file of labels adds to what is known: pure, rows in, verdicts out.

Labels of one key, in the order in which they were observed, tell when the label changed. A row is
news where it changes that story, and known already where it does not.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Literal, NamedTuple, TypeAlias

from monitoring.labels.store import Entry, Key, Status

Verdict: TypeAlias = Literal["new", "revised", "older", "known", "duplicate", "conflict"]
_STORED = ("new", "revised", "older", "conflict")
_time = attrgetter("observed")


class Fresh(NamedTuple):
    """A label of a file, known from `observed` on."""

    row: int
    key: Key
    label: int
    observed: int


class Judged(NamedTuple):
    """A row with its verdict; `entry` is what of it has to be stored, if anything."""

    row: int
    verdict: Verdict
    entry: Entry | None


class _Told(NamedTuple):
    """A label that was in force from `observed` on; `fresh` if the file itself says so."""

    observed: int
    label: int
    fresh: bool = False


def judge(rows: Iterable[Fresh], known: Mapping[Key, Sequence[Entry]], source: str) -> list[Judged]:
    """A verdict on each row of a file, in the order of the rows:

    - conflict: another row of the file has the other label for the same key and time;
    - known: the label in force at its time is the same anyway;
    - duplicate: the same, but it is this file that says so in another row;
    - older: observed earlier than the label that counts; revised: another one, observed later; new:
      the first of its key.
    """
    by_key: dict[Key, list[Fresh]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    judged = [
        one
        for key, of_key in by_key.items()
        for one in _judge_key(of_key, known.get(key, ()), source)
    ]
    return sorted(judged, key=attrgetter("row"))


def _judge_key(rows: list[Fresh], known: Sequence[Entry], source: str) -> Iterable[Judged]:
    contradictions = {(e.label, e.observed) for e in known if e.status == "conflict"}

    # Stable: of two at the same time, the one imported later comes later.
    story = sorted(
        (_Told(entry.observed, entry.label) for entry in known if entry.status == "label"),
        key=_time,
    )
    last_known = story[-1].observed if story else None
    rows.sort(key=attrgetter("observed", "row"))
    for _, group in groupby(rows, key=_time):
        moment = list(group)
        first = {row.label: row for row in reversed(moment)}
        status: Status = "label" if len(first) == 1 else "conflict"
        for row in moment:
            verdict: Verdict = "known"
            entry = Entry(row.key, row.label, row.observed, status, source)
            if first[row.label] is not row:
                verdict = "duplicate"
            elif status == "conflict":
                verdict = "conflict"
            else:
                verdict = _verdict(row, story, last_known)
            is_news = status == "label" or (row.label, row.observed) not in contradictions
            stores = verdict in _STORED and is_news
            yield Judged(row.row, verdict, entry if stores else None)


def _verdict(row: Fresh, story: list[_Told], last_known: int | None) -> Verdict:
    """Judge a row against the story so far, and put it there."""
    place = bisect_right(story, row.observed, key=_time)
    if place > 0 and story[place - 1].label == row.label:
        return "duplicate" if story[place - 1].fresh else "known"
    story.insert(place, _Told(row.observed, row.label, fresh=True))
    if last_known is not None and row.observed < last_known:
        return "older"
    return "revised" if place > 0 else "new"
