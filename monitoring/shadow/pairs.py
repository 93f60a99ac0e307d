"""The rows that the champion and the challenger both scored, joined by prediction_id, with what is
known of their outcomes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.labels.store import PeriodRule
from monitoring.log.reading import Batch, RowIds
from monitoring.performance.outcomes import KnownLabels, Outcomes, join
from monitoring.reference.bins import Coded
from monitoring.shadow.answers import Answers

MOST_SHOWN = 1000
"""Rows that are named of those that only one of the two flags."""


class Changed(NamedTuple):
    """One row that only one of the two flags."""

    prediction_id: str
    champion_version: str
    champion_score: float
    challenger_score: float

    @property
    def difference(self) -> float:
        return self.challenger_score - self.champion_score


@dataclass(frozen=True)
class Pairs:
    """Arrays of shape (rows,): `outcomes` has the challenger's scores and flags, at the times of
    the answers; `places` is where each row's answer stands.

    `newly` and `no_longer` flagged rows are the first `MOST_SHOWN` by difference of scores.
    """

    outcomes: Outcomes
    places: NDArray[np.intp]
    newly: tuple[Changed, ...]
    no_longer: tuple[Changed, ...]

    def __len__(self) -> int:
        return len(self.places)


def pair(batches: Iterable[Batch], answers: Answers, known: KnownLabels, rule: PeriodRule) -> Pairs:
    """Join what a challenger said with the answers. The batches are those of `join`."""
    pairing = _Pairing(answers)
    outcomes = join(pairing.of(batches), known, rule).outcomes
    places = np.concatenate([np.empty(0, dtype=np.intp), *pairing.places])
    return Pairs(outcomes, places, tuple(pairing.newly), tuple(pairing.no_longer))


class _Pairing:
    """Passes on the rows that have an answer, each once, and remembers which answer."""

    def __init__(self, answers: Answers) -> None:
        self.places: list[NDArray[np.intp]] = []
        self.newly: list[Changed] = []
        self.no_longer: list[Changed] = []
        self._answers = answers
        self._met = np.zeros(len(answers), dtype=np.bool_)

    def of(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            assert batch.ids is not None
            found = self._answers.find(batch.ids.prediction_ids)
            rows = np.flatnonzero(found >= 0)
            rows = rows[~self._met[found[rows]]]
            places = found[rows]
            if not len(rows):
                continue
            self._met[places] = True
            self.places.append(places)
            paired = _take(batch, rows, self._answers.times[places])
            was, now = self._answers.flags[places], paired.flags
            self.newly = self._most(self.newly, paired, places, now & ~was)
            self.no_longer = self._most(self.no_longer, paired, places, was & ~now)
            yield paired

    def _most(
        self,
        before: list[Changed],
        batch: Batch,
        places: NDArray[np.intp],
        mask: NDArray[np.bool_],
    ) -> list[Changed]:
        assert batch.ids is not None
        answers, ids = self._answers, batch.ids.prediction_ids
        changed = [
            Changed(
                ids[row],
                answers.names[answers.versions[places[row]]],
                float(answers.scores[places[row]]),
                float(batch.scores[row]),
            )
            for row in np.flatnonzero(mask).tolist()
        ]
        return nlargest(MOST_SHOWN, before + changed, key=_distance)


def _distance(changed: Changed) -> tuple[float, str]:
    return abs(changed.difference), changed.prediction_id


def _take(batch: Batch, rows: NDArray[np.intp], times: NDArray[np.int64]) -> Batch:
    """Some rows, at other times: a label is about the time of the answer."""
    assert batch.ids is not None
    places = rows.tolist()
    return replace(
        batch,
        times=times,
        scores=batch.scores[rows],
        flags=batch.flags[rows],
        entities=batch.entities[rows],
        columns={name: _some(column, rows) for name, column in batch.columns.items()},
        ids=RowIds(*([values[row] for row in places] for values in vars(batch.ids).values())),
    )


def _some(column: Any, rows: NDArray[np.intp]) -> Any:
    return column.take(rows) if isinstance(column, Coded) else column[rows]
