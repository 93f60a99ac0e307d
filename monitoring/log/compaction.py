"""Compaction: the log's JSON lines become Parquet, by day and model version.

What a service has acknowledged stands in the log exactly once whenever this is killed: a day's
lines go into a new part, whose one rename is the commit (see monitoring.log.files). A part is
never rewritten by a later compaction. Memory does not grow with the day but for 16 bytes a row.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain, islice
from pathlib import Path

from monitoring.log import files as log_files
from monitoring.log import tables as log_tables
from monitoring.log.records import LogRecord, SeenIds, fits, likely_kinds, parse
from monitoring.log.tables import PartTable
from registry import store
from registry.errors import RegistryError
from registry.schema import FeatureType, Schema
from registry.state import State

_LINES = 8_192
Kinds = Mapping[str, FeatureType]
Progress = Callable[[int], None]
"""Is called with the bytes of JSON lines that have been worked off since the last call."""


@dataclass(frozen=True)
class Compacted:
    """What became of one day: `versions` are the rows that were written of each, `duplicates` rows
    whose prediction_id was there already; unusable lines are kept in the part."""

    day: date
    sources: int
    source_bytes: int
    versions: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    torn: int = 0
    invalid: int = 0
    part_bytes: int = 0

    @property
    def rows(self) -> int:
        return sum(self.versions.values())


def pending(root: Path, day: date) -> Compacted | None:
    """How much of a day is to be compacted, None where nothing is; changes nothing.

    Raises:
        IntegrityError: an older part of the day is damaged.
        DeniedError: the day is somebody else's.
    """
    folder = log_files.days(root)[day]
    paths = (*log_files.sealed(folder), *log_files.live(folder))
    size = sum(path.stat().st_size for path in paths)
    return Compacted(day, len(paths), size) if paths else None


def compact_day(root: Path, day: date, *, state: State, progress: Progress) -> Compacted | None:
    """Take over the day's files and compact them; None where there are none. `state` has the types
    of the versions' features.

    The caller holds `log_files.maintenance`.

    Raises:
        LogBusyError: a process stopped in the middle of an append.
        IntegrityError: an older part of the day is damaged.
        OSError: the disk; the lines stay where they are.
    """
    folder = log_files.days(root)[day]
    with log_files.changing(root):
        log_files.sweep(folder)
        log_files.seal(folder)
    sources = log_files.sealed(folder)
    if not sources:
        return None
    with log_files.new_part(folder) as temporary:
        run = _Run(temporary, sources, _StoredKinds(state, sources))
        run.remember(table for part in log_files.parts(folder) for table in part.tables)
        run.write(progress)
        sizes = sum(path.stat().st_size for path in sources)
        done = Compacted(
            day=day,
            sources=len(sources),
            source_bytes=sizes,
            versions=run.versions,
            duplicates=run.duplicates,
            torn=run.torn,
            invalid=run.invalid,
            part_bytes=sum(path.stat().st_size for path in temporary.iterdir()),
        )
        facts = {"torn": run.torn, "invalid": run.invalid, "duplicates": run.duplicates}
        log_files.commit(temporary, sources, {**facts, "versions": run.versions})
    return done


def expired(root: Path, today: date, retention_days: int) -> list[date]:
    """The days that are older than retention allows."""
    oldest = today - timedelta(days=retention_days)
    return [day for day in log_files.days(root) if day < oldest]


class _StoredKinds:
    """The types of each version's features: as stored with the version, else as its rows look."""

    def __init__(self, state: State, sources: list[Path]) -> None:
        self._state = state
        self._sources = sources
        self._known: dict[str, Kinds] = {}

    def of(self, version: str) -> Kinds:
        if version not in self._known:
            self._known[version] = self._stored(version) or self._likely(version)
        return self._known[version]

    def _stored(self, version: str) -> Kinds | None:
        with suppress(RegistryError, KeyError, TypeError, ValueError):
            document = store.find(self._state, version).document("schema.json")
            return Schema.from_dict(document).kinds
        return None

    def _likely(self, version: str) -> Kinds:
        lines = chain.from_iterable(map(_lines, self._sources))
        records = (parse(line) for line, _ in lines)
        return likely_kinds(one.features for one in records if one and one.version == version)


class _Run:
    """One day's lines on their way into one part."""

    def __init__(self, folder: Path, sources: list[Path], kinds: _StoredKinds) -> None:
        self.duplicates = self.torn = self.invalid = 0
        self.versions: dict[str, int] = {}
        self._folder = folder
        self._sources = sources
        self._kinds = kinds
        self._seen = SeenIds()
        self._tables: dict[str, PartTable] = {}

    def remember(self, tables: Iterable[Path]) -> None:
        """Rows that the day's older parts hold must not come again."""
        for path in tables:
            with log_tables.opened(path) as table:
                for rows in table.iter_batches(columns=["prediction_id"], use_threads=False):
                    self._seen.novel(rows.column(0).to_pylist())

    def write(self, progress: Progress) -> None:
        with ExitStack() as stack:
            for path in self._sources:
                lines = _lines(path)
                while chunk := list(islice(lines, _LINES)):
                    self._add(list(self._usable(chunk)), stack)
                    progress(sum(len(line) for line, _ in chunk))
            for version, table in self._tables.items():
                table.finish()
                self.versions[version] = table.rows

    def _usable(self, lines: list[tuple[bytes, bool]]) -> Iterator[LogRecord]:
        for line, complete in lines:
            record = parse(line)
            if record is not None and fits(record.features, self._kinds.of(record.version)):
                yield record
            else:
                self._keep_aside(line, torn=record is None and not complete)

    def _keep_aside(self, line: bytes, *, torn: bool) -> None:
        self.torn += torn
        self.invalid += not torn
        path = self._folder / log_files.UNUSABLE
        log_files.create(path)
        with path.open("ab") as stream:
            stream.write(line.rstrip(b"\n") + b"\n")

    def _add(self, records: list[LogRecord], stack: ExitStack) -> None:
        novel = self._seen.novel([record.prediction_id for record in records])
        self.duplicates += int((~novel).sum())
        fresh: dict[str, list[LogRecord]] = {}
        for record, new in zip(records, novel, strict=True):
            if new:
                fresh.setdefault(record.version, []).append(record)
        for version, rows in fresh.items():
            if version not in self._tables:
                path = self._folder / f"{version}.parquet"
                table = PartTable(path, self._kinds.of(version))
                self._tables[version] = stack.enter_context(table)
            self._tables[version].add(rows)


def _lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    with path.open("rb") as stream:
        yield from log_files.lines(stream, os.fstat(stream.fileno()).st_size)
