"""Labelled rows out of the inference log: what was predicted, joined with what became known of it.

One row for each entity and period, the newest prediction: an entity that was scored every day is
not so many entities. What was scored after its outcome was known is no prediction, and labels that
contradict each other are no labels.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitoring.labels.store import LabelStore, PeriodRule, period_of
from monitoring.log.reading import Batch, LogReader, Query
from monitoring.performance.outcomes import (
    CONFLICT,
    UNKNOWN,
    KnownLabels,
    Outcomes,
    join,
)
from monitoring.reference.bins import Coded, Column
from monitoring.times import EPOCH
from registry import store
from registry.configuration import Configuration
from registry.errors import IntegrityError
from registry.pipeline import column
from registry.schema import Schema
from registry.state import State
from training.fit import Progress


@dataclass(frozen=True)
class LogRows:
    """`table` has a column for each feature and for the target, the period and the entity's key
    (None where it was not logged), under the configured names; a row for each entity and period, in
    an order that depends on nothing but what the log says.

    `versions` scored them; `left_out` says of every other version why its rows are not read. The
    counts are of predictions read, of those with a label, of labelled ones made after the day on
    which the label was observed, of the other ones for which there is a newer one of the same
    entity and period, of entities and periods (or predictions) whose labels contradict each other,
    of current labels, and of those that are about none of the predictions.
    """

    table: pd.DataFrame
    versions: tuple[str, ...]
    left_out: dict[str, str]
    predictions: int
    labelled: int
    known_before: int
    older: int
    contested: int
    labels: int
    unmatched: int


def read(state: State, configuration: Configuration, now: datetime, progress: Progress) -> LogRows:
    """Everything with a label that was logged before `now` by versions of the configured model
    whose schema has its features.

    Raises:
        IntegrityError: the log or a file of labels is damaged.
    """
    rule = configuration.performance.label_period
    known = KnownLabels.of(LabelStore(state.labels).current())
    schemas, left_out = _versions(state, configuration)
    met = np.zeros(len(known), dtype=np.bool_)
    predictions = 0
    parts = []
    for version, schema in schemas.items():
        progress(f"join the log's rows of {version} with {len(known)} labels")
        query = Query(version, EPOCH, now, configuration.schema.names, ids=True)
        for batch in LogReader(state.inference_log, schema).batches(query):
            joined = join([replace(batch, columns={})], known, rule)
            met |= joined.met
            predictions += len(batch)
            if (joined.outcomes.labels != UNKNOWN).any():
                parts.append(_part(batch, joined.outcomes, rule))
    facts, features = (
        pd.concat(blocks, ignore_index=True)
        for blocks in zip(_no_rows(configuration.schema), *parts, strict=True)
    )
    chosen = _one_each(facts)
    return LogRows(
        table=_table(facts.loc[chosen.rows], features.loc[chosen.rows], configuration),
        versions=tuple(schemas),
        left_out=left_out,
        predictions=predictions,
        labelled=len(facts),
        known_before=chosen.known_before,
        older=chosen.older,
        contested=chosen.contested,
        labels=len(known),
        unmatched=int(np.count_nonzero(~met)),
    )


def _versions(
    state: State, configuration: Configuration
) -> tuple[dict[str, Schema], dict[str, str]]:
    """The schemas of versions whose rows hold the configured features, and why others do not."""
    schemas: dict[str, Schema] = {}
    left_out: dict[str, str] = {}
    for stored in store.versions(state, configuration.model.name):
        version = str(stored.version)
        try:
            schema = Schema.from_dict(stored.document("schema.json"))
        except (IntegrityError, ValueError, KeyError, TypeError):
            left_out[version] = "it is damaged"
            continue
        lacking = _lacking(configuration.schema, schema)
        if lacking:
            left_out[version] = f"it has no {', '.join(lacking)}"
        else:
            schemas[version] = schema
    return schemas, left_out


def _lacking(wanted: Schema, given: Schema) -> list[str]:
    """Features that are not given, or are text on one side and number on the other."""
    return [
        name
        for name, kind in wanted.kinds.items()
        if name not in given.kinds or (given.kinds[name] == "category") != (kind == "category")
    ]


def _part(batch: Batch, outcomes: Outcomes, rule: PeriodRule) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of the rows that have a label, or labels that contradict each other: what is known of them,
    and their features."""
    assert batch.ids is not None
    due = period_of(batch.times, rule).tolist()
    periods = zip(batch.ids.periods, due, strict=True)
    facts = pd.DataFrame(
        {
            "at": batch.times,
            "id": pd.Series(batch.ids.prediction_ids, dtype=object),
            "entity": pd.Series(batch.ids.entity_keys, dtype=object),
            "period": [other if sent is None else sent for sent, other in periods],
            "label": outcomes.labels,
            "contested": (outcomes.labels == CONFLICT) | outcomes.contradicted,
            "known_before": outcomes.early,
        }
    )
    features = pd.DataFrame({name: _values(given) for name, given in batch.columns.items()})
    wanted = outcomes.labels != UNKNOWN
    return facts[wanted], features[wanted]


def _no_rows(schema: Schema) -> tuple[pd.DataFrame, pd.DataFrame]:
    facts = ("at", "id", "entity", "period", "label", "contested", "known_before")
    return pd.DataFrame(columns=facts), pd.DataFrame(columns=schema.names)


def _values(values: Column) -> NDArray[Any]:
    """In the model's types: float64 with NaN for null, or objects with None."""
    if not isinstance(values, Coded):
        return np.asarray(values)
    levels = [*values.levels, None]  # the last place is that of null, -1
    return column([levels[code] for code in values.codes.tolist()], numeric=False)


@dataclass(frozen=True)
class _Chosen:
    """The rows to keep, in order, and three of the counts of LogRows."""

    rows: pd.Index
    known_before: int
    older: int
    contested: int


def _one_each(facts: pd.DataFrame) -> _Chosen:
    # As text even where every entity is null, as it is without a secret.
    by_entity = facts["entity"].astype("string") + ":" + facts["period"].astype("string")
    key = by_entity.where(facts["entity"].notna(), "id:" + facts["id"])
    alike = facts.groupby(key)
    contested = alike["contested"].transform("any") | (alike["label"].transform("nunique") > 1)
    known_before = facts["known_before"].astype(bool) & ~contested
    sound = facts[~contested & ~known_before].assign(key=key).sort_values(["at", "id"])
    newest = sound.drop_duplicates("key", keep="last").sort_values(["period", "key"])
    return _Chosen(
        rows=newest.index,
        known_before=int(known_before.sum()),
        older=len(sound) - len(newest),
        contested=key[contested].nunique(),
    )


def _table(
    facts: pd.DataFrame, features: pd.DataFrame, configuration: Configuration
) -> pd.DataFrame:
    model = configuration.model
    roles = {model.target: "label", model.time_column: "period", model.entity_column: "entity"}
    told = {name: facts[fact] for name, fact in roles.items() if name is not None}
    return features.assign(**told).reset_index(drop=True)
