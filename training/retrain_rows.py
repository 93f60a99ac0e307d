"""The rows that a challenger is trained on: a file, the inference log with its labels, or both.

A file's rows keep the contract or nothing is trained, as everywhere. Nobody can correct a log, so
what another version logged and today's contract refuses is left out and counted. Where both have
an entity and period, the file counts: somebody made it to train on.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from monitoring.log.writing import SECRET_VARIABLE, EntityKeys
from registry.configuration import Configuration
from registry.state import State
from training import logged_rows
from training.comparison_wording import log_lines
from training.data import Dataset, Rows, check, entity_codes, hold, text_of
from training.errors import ContractError, NotEnoughDataError, TrainingError
from training.fit import Progress
from training.logged_rows import LogRows
from training.run import file_rows, source_of, tell


@dataclass(frozen=True)
class Sources:
    """Where rows are to come from; one of the two at least. `keys` turn a file's entities into the
    log's."""

    data: Path | None
    from_log: bool
    keys: EntityKeys
    now: datetime


@dataclass(frozen=True)
class Gathered:
    """The labelled rows, what provenance says of them, and what has to be said to a person."""

    dataset: Dataset
    source: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """Rows of one source that keep the contract, and whom each is about: an id or key, or None."""

    rows: Rows
    entities: list[str | None]
    source: dict[str, Any]

    @property
    def known(self) -> set[tuple[str, Any]]:
        """The entities and periods with a label; none where the rows have no periods."""
        if self.rows.periods is None:
            return set()
        pairs = zip(self.entities, self.rows.periods.tolist(), self.rows.target, strict=True)
        return {(e, period) for e, period, label in pairs if e is not None and label == label}


def gather(
    state: State,
    sources: Sources,
    configuration: Configuration,
    console: Console,
    progress: Progress,
) -> Gathered:
    """Read, hold against the contract, join, and tell how many rows came from where.

    Raises:
        TrainingError: the file cannot be read or breaks the contract, its periods cannot be put in
            one order with the log's, or there is no labelled row.
        IntegrityError: the log or its labels are damaged.
    """
    if sources.data is not None and not sources.from_log:
        table, source = file_rows(sources.data)
        dataset = check(table, configuration)
        tell(dataset, len(table), console)
        return Gathered(dataset, dict(source))
    parts = []
    notes: tuple[str, ...] = ()
    if sources.data is not None:
        parts.append(_of_file(sources.data, configuration, sources.keys))
        tell(parts[0].rows.labelled(), len(parts[0].entities), console)
        notes = _notes(configuration, sources.keys)
    known = parts[0].known if parts and sources.keys.enabled else set()
    parts.append(
        _of_log(logged_rows.read(state, configuration, sources.now, progress), configuration, known)
    )
    for line in (*log_lines(parts[-1].source), *notes):
        console.print(f"  {line}", soft_wrap=True)
    dataset = _joined(parts, configuration)
    return Gathered(dataset, _source([part.source for part in parts]), notes)


def _of_file(path: Path, configuration: Configuration, keys: EntityKeys) -> _Part:
    table, source = file_rows(path)
    rows = hold(table, configuration.model, configuration.schema)
    column = configuration.model.entity_column
    ids: list[str | None] = (
        [None] * len(table) if column is None else [_id(value) for value in table[column]]
    )
    entities = [keys.key(one) for one in ids] if keys.enabled else ids
    return _Part(rows, entities, dict(source))


def _of_log(found: LogRows, configuration: Configuration, known: set[tuple[str, Any]]) -> _Part:
    """The log's rows that keep the contract and are not in the file."""
    table, model = found.table, configuration.model
    twice = np.zeros(len(table), dtype=np.bool_)
    if known:
        pairs = zip(table[model.entity_column], table[model.time_column], strict=True)
        twice[:] = [pair in known for pair in pairs]
    kept, rows, outside = _within_contract(table[~twice], configuration)
    column = model.entity_column
    entities: list[str | None] = [None] * len(kept) if column is None else kept[column].tolist()
    content = kept.to_csv(index=False).encode()
    facts = {
        "versions": list(found.versions),
        "left_out_versions": found.left_out,
        "predictions": found.predictions,
        "labelled": found.labelled,
        "known_before": found.known_before,
        "older": found.older,
        "contested": found.contested,
        "in_the_file": int(twice.sum()),
        "outside_contract": outside,
        "labels": found.labels,
        "labels_without_prediction": found.unmatched,
    }
    return _Part(rows, entities, source_of("inference log", content, len(kept)) | facts)


def _within_contract(
    table: pd.DataFrame, configuration: Configuration
) -> tuple[pd.DataFrame, Rows, dict[str, int]]:
    """The rows that keep the contract, as they are and as they are held, and how many values of
    which column broke it."""
    table = table.reset_index(drop=True)
    try:
        return table, hold(table, configuration.model, configuration.schema), {}
    except ContractError as error:
        at_fault = {violation.row for violation in error.violations}
        counts = Counter(violation.column for violation in error.violations)
    table = table.drop(index=[row for row in at_fault if row is not None]).reset_index(drop=True)
    return table, hold(table, configuration.model, configuration.schema), dict(counts)


def _joined(parts: Sequence[_Part], configuration: Configuration) -> Dataset:
    """All parts as one, in which an entity has one code."""
    rows = [part.rows for part in parts]
    who = pd.DataFrame(
        {"entity": [entity for part in parts for entity in part.entities]}, dtype=object
    )
    unusual: Counter[str] = Counter()
    for one in rows:
        unusual.update(one.unusual)
    dataset = Rows(
        columns={
            name: np.concatenate([one.columns[name] for one in rows])
            for name in configuration.schema.names
        },
        target=np.concatenate([one.target for one in rows]),
        entities=entity_codes(who, "entity"),
        periods=_periods(rows),
        unusual=dict(unusual),
    ).labelled()
    if dataset.rows == 0:
        raise NotEnoughDataError(
            "no row has a label; bring some with --data FILE, or import them with "
            "`python -m monitoring.labels import FILE`"
        )
    return dataset


def _periods(rows: Sequence[Rows]) -> NDArray[Any] | None:
    periods = [one.periods for one in rows if one.periods is not None]
    if not periods:
        return None
    joined = np.concatenate(periods)
    if len({isinstance(period, str) for period in joined.tolist() if period is not None}) > 1:
        raise TrainingError(
            "the log's periods are whole numbers and the file's are texts, which have no order "
            "together; write the file's as whole numbers too, such as 2026 or 202611"
        )
    return joined


def _source(sources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(sources) == 1:
        return sources[0]
    digests = "".join(source["sha256"] for source in sources).encode()
    rows = sum(source["rows"] for source in sources)
    name = " and ".join(source["name"] for source in sources)
    return source_of(name, digests, rows) | {"parts": list(sources)}


def _notes(configuration: Configuration, keys: EntityKeys) -> tuple[str, ...]:
    if keys.enabled or configuration.model.entity_column is None:
        return ()
    return (
        f"{SECRET_VARIABLE} is not set, so entities of the file and of the log are taken as "
        "different ones; set the service's secret to match them",
    )


def _id(value: Any) -> str | None:
    """As the labels' import spells an entity."""
    return None if pd.isna(value) else text_of(value).strip()
