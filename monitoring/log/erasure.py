"""Forgetting one entity: its rows leave the inference log and the shadow log, and what was learned
of them the labels.

Labels go first: they are found by the predictions that the logs have about the entity, and a run
that is killed in between is finished by the next.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitoring.labels.store import LabelStore
from monitoring.log import files as log_files
from monitoring.log import tables as log_tables
from registry.state import State, replace_file


@dataclass(frozen=True)
class Erased:
    """What was removed, or with a dry run would be."""

    log_rows: int = 0
    log_files: int = 0
    shadow_rows: int = 0
    shadow_files: int = 0
    label_rows: int = 0
    label_files: int = 0

    def __bool__(self) -> bool:
        return bool(self.log_rows or self.shadow_rows or self.label_rows)


@dataclass(frozen=True)
class _Hit:
    """A file of a log and the predictions in it that are about the entity; a line that is no
    record has none."""

    path: Path
    rows: int
    prediction_ids: Sequence[str]


def erase(state: State, key: str, *, dry_run: bool) -> Erased:
    """Remove every row of the entity with this key (32 hex digits); each file by itself is
    replaced whole or not at all, and a run that was stopped can be repeated.

    Raises:
        IntegrityError: a file is damaged, before any is changed.
        DeniedError: a folder is somebody else's, before any is changed.
        LogBusyError, MovedError: somebody else compacts, forgets or imports labels.
        OSError: the disk; what could not be rewritten stays as it was.
    """
    with _alone(state, dry_run=dry_run):
        answered = _in_log(state.inference_log, key, dry_run=dry_run)
        shadowed = _in_log(state.shadow_log, key, dry_run=dry_run)
        hits = [*answered, *shadowed]
        ids = {one for hit in hits for one in hit.prediction_ids}
        labels = [
            _from_labels(path, key, ids, dry_run=dry_run)
            for path in LabelStore(state.labels).files()
        ]
        for hit in hits:
            if not dry_run:
                _from_log(hit.path, key)
    return Erased(
        log_rows=sum(hit.rows for hit in answered),
        log_files=len(answered),
        shadow_rows=sum(hit.rows for hit in shadowed),
        shadow_files=len(shadowed),
        label_rows=sum(labels),
        label_files=sum(rows > 0 for rows in labels),
    )


@contextmanager
def _alone(state: State, *, dry_run: bool) -> Iterator[None]:
    with ExitStack() as stack:
        for root in filter(Path.is_dir, log_files.roots(state).values()):
            stack.enter_context(log_files.maintenance(root))
        if not dry_run and state.labels.is_dir():
            stack.enter_context(LabelStore(state.labels).alone())
        yield


def _in_log(root: Path, key: str, *, dry_run: bool) -> list[_Hit]:
    days = log_files.days(root).values()
    return [hit for folder in days for hit in _in_day(folder, key, dry_run=dry_run)]


def _in_day(folder: Path, key: str, *, dry_run: bool) -> Iterator[_Hit]:
    if not dry_run:
        with log_files.changing(folder.parent):
            log_files.sweep(folder)
            log_files.seal(folder)
    parts = log_files.parts(folder)
    unusable = [part.folder / log_files.UNUSABLE for part in parts]
    lines = [*log_files.live(folder), *log_files.sealed(folder), *filter(Path.exists, unusable)]
    found = [_in_lines(path, key) for path in lines]
    found += [_in_table(path, key) for part in parts for path in part.tables]
    yield from (hit for hit in found if hit.rows)


def _in_lines(path: Path, key: str) -> _Hit:
    rows, ids = 0, []
    with path.open("rb") as stream:
        for line in stream:
            if _is_about(line, key):
                rows += 1
                ids += _prediction_id(line)
    return _Hit(path, rows, ids)


def _is_about(line: bytes, key: str) -> bool:
    """A key is unlike anything else in a line, so that this holds for a damaged line too."""
    return key.encode() in line


def _prediction_id(line: bytes) -> list[str]:
    try:
        return [str(orjson.loads(line)["prediction_id"])]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return []


def _in_table(path: Path, key: str) -> _Hit:
    ids: list[str] = []
    with log_tables.opened(path) as table:
        columns = ["entity", "prediction_id"]
        for rows in table.iter_batches(columns=columns, use_threads=False):
            ids += rows.filter(_of_entity(rows, key)).column("prediction_id").to_pylist()
    return _Hit(path, len(ids), ids)


def _of_entity(rows: pa.RecordBatch | pa.Table, key: str) -> pa.BooleanArray:
    binary = pa.types.is_fixed_size_binary(rows.schema.field("entity").type)
    wanted = pa.scalar(bytes.fromhex(key), pa.binary(16)) if binary else pa.scalar(key)
    return pc.fill_null(pc.equal(rows.column("entity"), wanted), False)


def _from_labels(path: Path, key: str, ids: set[str], *, dry_run: bool) -> int:
    with log_tables.opened(path) as stored:
        table = stored.read(use_threads=False)
    known = pc.is_in(table.column("prediction_id"), value_set=pa.array(sorted(ids), pa.string()))
    gone = pc.or_(_of_entity(table, key), known)
    rows = int(pc.sum(gone).as_py() or 0)
    if rows and not dry_run:
        buffer = io.BytesIO()
        pq.write_table(table.filter(pc.invert(gone)), buffer, compression="zstd")
        replace_file(path, buffer.getvalue())
    return rows


def _from_log(path: Path, key: str) -> None:
    with log_files.rewritten(path) as temporary:
        if path.suffix != ".parquet":
            with path.open("rb") as old, temporary.open("wb") as new:
                new.writelines(line for line in old if not _is_about(line, key))
            return
        with log_tables.opened(path) as table:
            schema = table.schema_arrow
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for group in range(table.num_row_groups):
                    rows = table.read_row_group(group, use_threads=False)
                    kept = rows.filter(pc.invert(_of_entity(rows, key)))
                    if kept.num_rows:
                        writer.write_table(kept)
