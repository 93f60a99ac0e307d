"""Importing a file of labels: all of it or nothing, and the same file twice changes nothing."""

import csv
import hashlib
import io
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_args

from monitoring.labels import files as label_files
from monitoring.labels import matching as label_matching
from monitoring.labels import merge as label_merge
from monitoring.labels.files import LabelFileError, LabelRow
from monitoring.labels.merge import Fresh, Verdict
from monitoring.labels.store import Entry, Key, LabelStore
from monitoring.log.writing import SECRET_VARIABLE, EntityKeys
from monitoring.times import micros
from registry import configuration
from registry.errors import UsageError
from registry.state import State, replace_file

Steps: TypeAlias = Callable[[str, float], None]
"""Told what is being done, and the share of the whole that is done before it."""

_SOURCE_DIGITS = 12
_LISTED = 100  # the report has all


class Orphan(NamedTuple):
    """A row of the file whose label matches nothing in the log, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class Imported:
    """What came of a file. `counts` are of rows and sum up to `rows`; `conflicts` are the numbers
    of rows that contradict each other; `news` is whether anything was to be stored."""

    file: str
    dry_run: bool
    rows: int
    counts: dict[str, int]
    conflicts: Sequence[int]
    orphans: Sequence[Orphan]
    orphan_report: Path | None
    news: bool

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON; why a row is an orphan stands in the report."""
        return {
            "file": self.file,
            "dry_run": self.dry_run,
            "rows": self.rows,
            **self.counts,
            "conflict_rows": list(self.conflicts),
            "orphans": len(self.orphans),
            "orphan_rows": [orphan.row for orphan in self.orphans[:_LISTED]],
            "orphan_report": str(self.orphan_report) if self.orphan_report else None,
        }


def run(state: State, path: Path, *, dry_run: bool, steps: Steps) -> Imported:
    """Import the labels of `path`.

    Raises:
        UsageError: the file cannot be taken, or there is no secret to make entity keys with.
        MovedError: another import holds the store.
        IntegrityError: a file of the store cannot be read.
    """
    settings = configuration.load()
    steps("reading the file", 0.0)
    now = datetime.now(UTC)
    content = _bytes(path)
    source = hashlib.sha256(content).hexdigest()[:_SOURCE_DIGITS]
    file = label_files.parse(path, content, settings.model, now)
    fresh = _keyed(file.rows, EntityKeys.from_environment(), now)
    matches = label_matching.match(
        state.inference_log,
        [row.key for row in fresh],
        settings.performance.label_period,
        lambda share: steps("looking for their rows in the log", 0.3 + 0.5 * share),
    )
    orphans = [
        Orphan(row.row, _reason(row.key, matches)) for row in fresh if row.key not in matches.keys
    ]
    steps("comparing with what is known", 0.8)
    store = LabelStore(state.labels)
    with nullcontext() if dry_run else store.alone():
        judged = label_merge.judge(fresh, store.known(row.key for row in fresh), source)
        news = [one.entry for one in judged if one.entry is not None]
        steps("storing", 0.9)
        stores = bool(news) and not dry_run
        report = _commit(state, store, news, orphans) if stores else None
    verdicts = Counter(one.verdict for one in judged)
    return Imported(
        file=str(path),
        dry_run=dry_run,
        rows=len(file.rows) + file.unknown,
        counts={word: verdicts[word] for word in get_args(Verdict)} | {"unknown": file.unknown},
        conflicts=[one.row for one in judged if one.verdict == "conflict"],
        orphans=orphans,
        orphan_report=report,
        news=bool(news),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabelFileError(f"{path}: {error.strerror}") from error


def _keyed(rows: Sequence[LabelRow], keys: EntityKeys, now: datetime) -> list[Fresh]:
    """The rows with the entity's key in place of its id."""
    if not keys.enabled and any(row.prediction_id is None for row in rows):
        raise UsageError(
            f"{SECRET_VARIABLE} is not set: rows without a prediction_id are found by the key that "
            "the service makes of the entity_id under that secret; set the same one here"
        )
    default = micros(now)
    return [
        Fresh(
            row.row,
            _key(row, keys),
            row.label,
            default if row.observed is None else row.observed,
        )
        for row in rows
    ]


def _key(row: LabelRow, keys: EntityKeys) -> Key:
    if row.prediction_id is not None:
        return Key(row.prediction_id, None, None)
    return Key(None, keys.key(row.entity_id), row.period)


def _reason(key: Key, matches: label_matching.Matches) -> str:
    if key.prediction_id is not None:
        return "no such prediction_id in the log"
    if key.entity in matches.entities:
        return "the log has this entity, but not in this period"
    return "no such entity in the log"


def _commit(
    state: State, store: LabelStore, news: Sequence[Entry], orphans: Sequence[Orphan]
) -> Path | None:
    """Store the news, with the report of orphans beside the other reports; both or neither."""
    now = datetime.now(UTC)
    report = state.reports / f"labels-orphans-{now:%Y%m%dT%H%M%S%fZ}.csv" if orphans else None
    with _uninterrupted():
        try:
            if report is not None:
                replace_file(report, _csv(orphans))
            store.add(news, now)
        except BaseException:
            if report is not None:
                report.unlink(missing_ok=True)
            raise
    return report


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes before the commit or after it, so that what is said about it is true."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _csv(orphans: Sequence[Orphan]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Orphan._fields)
    writer.writerows(orphans)
    return stream.getvalue().encode()
