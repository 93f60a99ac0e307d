"""Which labels the inference log has a row for: one pass over the log, in memory that grows with
the labels and not with the log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.labels.store import Key, PeriodRule, period_of
from monitoring.log import files as log_files
from monitoring.log import tables as log_tables
from monitoring.log.records import LogRecord, parse

_LINES = 8_192
_COLUMNS = ["prediction_id", "ts", "entity", "period"]


class Matches(NamedTuple):
    """The keys that a row was logged for, and the entities that the log knows in any period."""

    keys: set[Key]
    entities: set[str]


class _Logged(NamedTuple):
    """Some logged rows: ids, the 16 bytes of entities' keys, and the periods that were sent or,
    where none was, follow from the time."""

    prediction_ids: list[str]
    entities: list[bytes | None]
    periods: list[int]


def match(
    root: Path, keys: Iterable[Key], rule: PeriodRule, advance: Callable[[float], None]
) -> Matches:
    """Look for each key's prediction, or entity and period, in the log under `root`.

    `rule` makes the period of rows that sent none; `advance` is told the share of days read.
    """
    wanted = set(keys)
    ids = {key.prediction_id for key in wanted} - {None}
    entities = {bytes.fromhex(key.entity) for key in wanted if key.entity is not None}
    found: set[Key] = set()
    pairs: set[tuple[bytes | None, int]] = set()
    for logged in _logged(root, rule, advance):
        found.update(Key(one, None, None) for one in ids.intersection(logged.prediction_ids))
        if entities:
            met = zip(logged.entities, logged.periods, strict=True)
            pairs.update(pair for pair in met if pair[0] in entities)
    found.update(Key(None, entity.hex(), period) for entity, period in pairs if entity)
    return Matches(found & wanted, {entity.hex() for entity, _ in pairs if entity})


def _logged(root: Path, rule: PeriodRule, advance: Callable[[float], None]) -> Iterator[_Logged]:
    days = log_files.days(root)
    for done, folder in enumerate(days.values()):
        advance(done / len(days))
        with log_files.opened(folder) as files:
            for table in files.tables:
                with log_tables.opened(table.stream) as parquet:
                    for batch in parquet.iter_batches(columns=_COLUMNS, use_threads=False):
                        micros = batch["ts"].cast(pa.int64()).to_numpy()
                        ids, entities, periods = (
                            batch[name].to_pylist()
                            for name in ("prediction_id", "entity", "period")
                        )
                        yield _Logged(ids, entities, _periods(periods, micros, rule))
            for lines in files.lines:
                records = filter(None, (parse(line) for line, _ in log_files.lines(*lines)))
                while chunk := list(islice(records, _LINES)):
                    yield _of_records(chunk, rule)


def _of_records(records: Sequence[LogRecord], rule: PeriodRule) -> _Logged:
    micros = np.array([record.micros for record in records], dtype=np.int64)
    return _Logged(
        [record.prediction_id for record in records],
        [record.entity for record in records],
        _periods([record.period for record in records], micros, rule),
    )


def _periods(sent: Sequence[int | None], micros: NDArray[np.int64], rule: PeriodRule) -> list[int]:
    due = period_of(micros, rule).tolist()
    return [own if one is None else one for one, own in zip(sent, due, strict=True)]
