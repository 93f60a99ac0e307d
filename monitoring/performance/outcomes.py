"""Predictions joined with what became known of them: one row a prediction, whatever the labels.

A label belongs to a prediction by its prediction_id, else by entity and period, and never by the
request, which holds many rows. A label that contradicts itself is no label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.labels.store import CurrentLabels, PeriodRule, period_of
from monitoring.log.reading import Batch, entity_codes
from monitoring.reference.bins import Coded

UNKNOWN = -1
CONFLICT = -2
MICROS_PER_DAY = 86_400_000_000


@dataclass(frozen=True)
class KnownLabels:
    """The current labels, arrays of shape (labels,), and where the two kinds of keys find them.

    `values` are 0, 1 or CONFLICT; `observed` is microseconds since 1970 UTC; `revised` labels had
    another value before.
    """

    values: NDArray[np.int8]
    observed: NDArray[np.int64]
    revised: NDArray[np.bool_]
    by_prediction: Mapping[str, int]
    by_entity: Mapping[tuple[str | None, int], int]

    @classmethod
    def of(cls, current: CurrentLabels) -> "KnownLabels":
        """From what the store says is current."""
        about = current["prediction_id"].notna().to_numpy(dtype=np.bool_)
        contested = (current["label"].isna() | current["conflict"]).to_numpy(dtype=np.bool_)
        places = np.arange(len(current))
        others = current[~about]
        pairs = zip(others["entity"], others["period"].astype(int), strict=True)
        observed = current["observed_at"].dt.tz_convert(None).to_numpy(dtype="datetime64[us]")
        return cls(
            values=np.where(contested, CONFLICT, current["label"].fillna(0)).astype(np.int8),
            observed=observed.astype(np.int64),
            revised=(current["revisions"] > 0).to_numpy(dtype=np.bool_),
            by_prediction=dict(
                zip(current["prediction_id"][about], places[about].tolist(), strict=True)
            ),
            by_entity=dict(zip(pairs, places[~about].tolist(), strict=True)),
        )

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Outcomes:
    """Predictions with their labels, arrays of shape (rows,).

    `times` and `observed` are microseconds since 1970 UTC (0 where nothing is known); `entities`
    are codes 0, 1, …, a row without an entity being its own; `labels` are 0, 1, UNKNOWN or
    CONFLICT; `revised` rows had another label before; `contradicted` ones have one label by their
    id, which counts, and another one by entity and period.
    """

    times: NDArray[np.int64]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    entities: NDArray[np.intp]
    labels: NDArray[np.int8]
    observed: NDArray[np.int64]
    revised: NDArray[np.bool_]
    contradicted: NDArray[np.bool_]
    columns: Mapping[str, Coded]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return self.labels >= 0

    @property
    def early(self) -> NDArray[np.bool_]:
        """Which labels were observed before the day of their prediction."""
        return self.observed // MICROS_PER_DAY < self.times // MICROS_PER_DAY

    def take(self, rows: NDArray[np.bool_]) -> "Outcomes":
        """The rows of a mask."""
        return Outcomes(
            times=self.times[rows],
            scores=self.scores[rows],
            flags=self.flags[rows],
            entities=self.entities[rows],
            labels=self.labels[rows],
            observed=self.observed[rows],
            revised=self.revised[rows],
            contradicted=self.contradicted[rows],
            columns={name: column.take(rows) for name, column in self.columns.items()},
        )


@dataclass(frozen=True)
class Joined:
    """The outcomes, and which labels met a row of them, shape (labels,)."""

    outcomes: Outcomes
    met: NDArray[np.bool_]


def join(batches: Iterable[Batch], known: KnownLabels, rule: PeriodRule) -> Joined:
    """Give each row its label. The batches have ids, and categorical columns only.

    `rule` makes the period of a row that sent none.
    """
    parts = []
    places = [np.empty((0, 2), dtype=np.intp)]
    for batch in batches:
        places.append(_places(batch, known, rule))
        parts.append(replace(batch, ids=None))
    by_id, by_entity = np.concatenate(places).T
    chosen = np.where(by_id < 0, by_entity, by_id)
    # The last place stands for no label, so that -1 finds it.
    values = np.append(known.values, UNKNOWN).astype(np.int8)
    both = (by_id >= 0) & (by_entity >= 0)
    outcomes = Outcomes(
        times=_joined([part.times for part in parts], np.int64),
        scores=_joined([part.scores for part in parts], np.float64),
        flags=_joined([part.flags for part in parts], np.bool_),
        entities=entity_codes(_joined([part.entities for part in parts], np.uint64)),
        labels=values[chosen],
        observed=np.append(known.observed, 0)[chosen],
        revised=np.append(known.revised, False)[chosen],
        contradicted=both & (values[by_id] != values[by_entity]),
        columns={name: _levels_joined(parts, name) for name in (parts[0].columns if parts else ())},
    )
    met = np.zeros(len(known) + 1, dtype=np.bool_)
    met[by_id] = met[by_entity] = True
    return Joined(outcomes, met[:-1])


def _places(batch: Batch, known: KnownLabels, rule: PeriodRule) -> NDArray[np.intp]:
    """Where each row's labels stand, by its id and by entity and period, -1 for none: shape
    (rows, 2)."""
    ids = batch.ids
    assert ids is not None
    found = np.full((len(batch), 2), -1, dtype=np.intp)
    find = known.by_prediction.get
    found[:, 0] = [find(prediction_id, -1) for prediction_id in ids.prediction_ids]
    if known.by_entity:
        due = period_of(batch.times, rule).tolist()
        sent = zip(ids.entity_keys, ids.periods, due, strict=True)
        keys = ((key, other if period is None else period) for key, period, other in sent)
        found[:, 1] = [known.by_entity.get(key, -1) for key in keys]
    return found


def _joined(parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])


def _levels_joined(parts: Sequence[Batch], name: str) -> Coded:
    """One column of all parts, whose codes mean different levels, in common levels."""
    levels: dict[str, int] = {}
    codes = []
    for part in parts:
        column = part.columns[name]
        assert isinstance(column, Coded)
        common = [levels.setdefault(level, len(levels)) for level in column.levels]
        codes.append(np.array([*common, -1], dtype=np.int32)[column.codes])
    return Coded(np.concatenate(codes), tuple(levels))
