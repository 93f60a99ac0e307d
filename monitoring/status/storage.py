"""The inference log and the disk under it, and the labels: sizes and times, no rows."""

import json
import os
import shutil
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from monitoring.log import files
from monitoring.status.facts import Storage
from monitoring.status.scrape import Scrape
from registry.errors import IntegrityError
from registry.state import State

_TAIL_BYTES = 256 * 1024


def look(state: State, scraped: Scrape | None) -> Storage:
    """What lies under `state` now, and what /metrics says of it."""
    free, size = _disk(state, scraped)
    labels_at = _labels_at(state, scraped)
    root = state.inference_log
    try:
        next(root.iterdir(), None)  # globbing says nothing of a folder that cannot be read
        days = files.days(root)
        if not days:
            return Storage(free_bytes=free, size_bytes=size, labels_at=labels_at)
        day, folder = list(days.items())[-1]
        return Storage(
            day=day.isoformat(),
            day_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            newest_row=_newest_row(days),
            free_bytes=free,
            size_bytes=size,
            labels_at=labels_at,
        )
    except FileNotFoundError:  # no log yet, or a day that a compaction has just taken away
        return Storage(free_bytes=free, size_bytes=size, labels_at=labels_at)
    except OSError as error:
        problem = f"{error.filename or root}: {error.strerror}"
        return Storage(free_bytes=free, size_bytes=size, labels_at=labels_at, problem=problem)


def _disk(state: State, scraped: Scrape | None) -> tuple[float | None, float | None]:
    """Free bytes and size of whichever disk is fuller: the one seen from here, the service's."""
    seen: list[tuple[float, float]] = []
    for folder in (state.inference_log, state.home):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        if usage.total:  # free as those without privileges have it: some is kept back for root
            seen.append((usage.free, usage.used + usage.free))
        break
    if scraped is not None:
        free = scraped.value("datathon_log_disk_free_bytes")
        size = scraped.value("datathon_log_disk_size_bytes")
        if free is not None and size:
            seen.append((free, size))
    return min(seen, key=lambda one: one[0] / one[1], default=(None, None))


def _newest_row(days: dict[date, Path]) -> datetime | None:
    """When the newest row was written; of `days`, oldest first, the last may have none yet."""
    for day, folder in reversed(days.items()):
        growing = [*files.live(folder), *folder.glob("*.sealed")]
        found = [moment for path in growing if (moment := _last_row(path)) is not None]
        found = found or [_last_compacted(path, day) for path in folder.glob("part-*/*.parquet")]
        if found:
            return max(found)
    return None


def _last_row(path: Path) -> datetime | None:
    """The time of a file's last whole line; the file's own where that is no record."""
    with path.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        if facts.st_size == 0:
            return None
        stream.seek(max(0, facts.st_size - _TAIL_BYTES))
        lines = stream.read(_TAIL_BYTES).split(b"\n")[:-1]
    try:
        return datetime.fromisoformat(json.loads(lines[-1])["ts"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        return datetime.fromtimestamp(facts.st_mtime, UTC)


def _last_compacted(path: Path, day: date) -> datetime:
    """The time of the newest row, as the file's footer has it; the day's end where it has none."""
    from monitoring.log import tables  # pyarrow, which nothing else here needs

    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    try:
        with tables.opened(path) as table:
            facts = table.metadata
            groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
            columns = [group.column(at) for group in groups for at in range(group.num_columns)]
            known = [one.statistics for one in columns if one.path_in_schema == "ts"]
            times: list[datetime] = [one.max for one in known if one and one.has_min_max]
            return max(times, default=end)
    except IntegrityError:
        return end


def _labels_at(state: State, scraped: Scrape | None) -> datetime | None:
    """When labels were last imported; None for never."""
    known = scraped.moment("datathon_label_timestamp_seconds") if scraped is not None else None
    if known is not None:
        return known
    try:
        times = [path.stat().st_mtime for path in state.labels.glob("*.parquet")]
    except OSError:
        return None
    return datetime.fromtimestamp(max(times), UTC) if times else None
