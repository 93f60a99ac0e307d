"""`python -m monitoring.lookup`: the logged rows of one request, or of one prediction, with the
label that came in for each, and after them what a challenger in the shadow said of the same rows.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from registry import configuration, flags
from registry.errors import RegistryError
from registry.state import State

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from rich.console import Console

    from monitoring.log.files import OpenDay, OpenLines
    from monitoring.log.records import LogRecord

_ROWS = 8_192
_NOTHING_FOUND = 3
_UNKNOWN: dict[str, Any] = {"label": None, "observed_at": None}


class Wanted(NamedTuple):
    """Rows whose `column`, prediction_id or request_id, is `value`."""

    column: str
    value: str


def main(arguments: Sequence[str] | None = None) -> int:
    """0 found, 3 nothing found, 2 usage, 6 a compacted file or one of labels is damaged, 1 the
    disk, or a file that may not be read. What is wrong with labels, or with the configuration,
    keeps no row back."""
    options = flags.parse(_parser(), arguments)
    prediction, request = options.prediction_id, options.request_id
    wanted = Wanted("request_id", request) if request else Wanted("prediction_id", prediction)
    try:
        return _look(State.from_environment(), wanted, options)
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="inference log")
    except KeyboardInterrupt:
        print("stopped; there may be more rows", file=sys.stderr)
        return 130


def find(folder: Path, wanted: Wanted) -> "Iterator[LogRecord]":
    """The rows of a day, each prediction_id once; oldest first, as far as 8,192 rows go.

    They come in the same order from lines and from a part, whose files have random names.

    Raises:
        IntegrityError: a compacted file is damaged.
    """
    from monitoring.log import files as log_files  # numpy and Arrow take a third of a second
    from monitoring.log.records import SeenIds

    seen = SeenIds()
    with log_files.opened(folder) as day:
        rows = _of_day(day, wanted)
        while chunk := list(islice(rows, _ROWS)):
            novel = seen.novel([row.prediction_id for row in chunk])
            kept = [row for row, new in zip(chunk, novel, strict=True) if new]
            yield from sorted(kept, key=_place)


class Labels:
    """What became known of logged rows: the labels as they are now.

    Raises:
        RegistryError: they cannot be read, or the configuration is wrong.
    """

    def __init__(self, state: State) -> None:
        from monitoring.labels.store import LabelStore  # pandas takes a second
        from monitoring.performance.outcomes import KnownLabels

        self._known = KnownLabels.of(LabelStore(state.labels).current())
        self._rule = configuration.load().performance.label_period

    def of(self, row: "LogRecord") -> dict[str, Any]:
        """The row's label and when it was observed, null where none came; `conflict` where several
        contradict each other, as none of them counts then."""
        from monitoring.performance.outcomes import CONFLICT

        place = self._place(row)
        value = None if place is None else int(self._known.values[place])
        if value is None or value == CONFLICT:
            marks = {} if value is None else {"conflict": True}
            return _UNKNOWN | marks
        return {"label": value, "observed_at": _time(int(self._known.observed[place]))}

    def _place(self, row: "LogRecord") -> int | None:
        """By its id, else by entity and period, as in the performance report."""
        import numpy as np

        from monitoring.labels.store import period_of

        place = self._known.by_prediction.get(row.prediction_id)
        if place is not None or row.entity is None:
            return place
        due = int(period_of(np.array([row.micros]), self._rule)[0])
        period = due if row.period is None else row.period
        return self._known.by_entity.get((row.entity.hex(), period))


def document(row: "LogRecord") -> dict[str, Any]:
    """The record as the service writes it."""
    return {
        "prediction_id": row.prediction_id,
        "request_id": row.request_id,
        "ts": _time(row.micros),
        "model_version": row.version,
        "schema": row.schema,
        "features": row.features,
        "risk_score": row.score,
        "risk_label": row.label,
        "entity": row.entity.hex() if row.entity else None,
        "period": row.period,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m monitoring.lookup", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--request-id", type=_id, metavar="ID", help="all rows of this request")
    which.add_argument("--prediction-id", type=_id, metavar="ID", help="this one row")
    parser.add_argument("--day", type=_day, help="YYYY-MM-DD in UTC; default: all, newest first")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a row")
    return parser


def _id(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected an id, got nothing")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("expected an id in UTF-8") from error
    return text


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or str(found) != text:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-11-20, got {text!r}")
    return found


def _look(state: State, wanted: Wanted, options: argparse.Namespace) -> int:
    from monitoring.log import files as log_files
    from monitoring.rendering.printable import printable_text
    from registry import terminal

    console = terminal.console(markup=False)
    found, code = False, _NOTHING_FOUND
    labels: Labels | None = None
    for name, root in log_files.roots(state).items():
        marks = {} if name == log_files.ANSWERED else {"shadow": True}
        known = log_files.days(root)
        days = [day for day in reversed(known) if options.day in (None, day)]
        for row in (row for day in days for row in find(known[day], wanted)):
            if not found:  # nobody waits for labels where there is no row
                found = True
                labels, code = _labels(state)
            shown = marks | document(row) | (labels.of(row) if labels else _UNKNOWN)
            if options.json:
                print(json.dumps(shown), flush=True)
            else:
                _show(shown, console)
    if not found:
        words = f"nothing found: no row with {wanted.column} {wanted.value} under "
        print(printable_text(words + _searched(state.inference_log, options.day)), file=sys.stderr)
    return code


def _labels(state: State) -> tuple[Labels | None, int]:
    """The labels, or none with the exit code of what is wrong with them, which is said once."""
    try:
        return Labels(state), 0
    except (RegistryError, OSError) as error:
        return None, flags.tell(error, about="labels")


def _searched(root: Path, wanted: date | None) -> str:
    """Where nothing was found."""
    from monitoring.log import files as log_files

    known = list(log_files.days(root))
    if wanted is not None:
        return f"{root} ({wanted}" + ("" if wanted in known else ", a day without a folder") + ")"
    return (
        f"{root} ({len(known)} day(s), {known[0]} to {known[-1]})" if known else f"{root} (no day)"
    )


def _show(row: dict[str, Any], console: "Console") -> None:
    """A line about the row and a table of what the model saw, texts in quotes."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from monitoring.rendering.printable import printable_text

    facts = {name: value for name, value in row.items() if name != "features"}
    words = [f"{name} {'none' if value is None else value}" for name, value in facts.items()]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("feature", overflow="fold")
    table.add_column("value", overflow="fold")
    for name, value in row["features"].items():
        # As Text: in a str rich would look for emoji codes.
        shown = printable_text(json.dumps(value, ensure_ascii=False))
        table.add_row(Text(printable_text(name)), Text(shown))
    console.print(Text(printable_text("  ".join(words))), soft_wrap=True)
    console.print(table)
    console.print()


def _time(micros: int) -> str:
    """As the service writes it."""
    import numpy as np

    return f"{np.datetime64(micros, 'us')}Z"


def _place(row: "LogRecord") -> tuple[int, str, int, str]:
    """Time, then version; the positions within a request end its prediction ids, -2 before -10."""
    return row.micros, row.version, len(row.prediction_id), row.prediction_id


def _of_day(day: "OpenDay", wanted: Wanted) -> "Iterator[LogRecord]":
    from monitoring.log import tables as log_tables

    for stored in day.tables:
        with log_tables.opened(stored.stream) as table:
            yield from _of_table(table, wanted)
    for lines in day.lines:
        yield from _of_lines(lines, wanted)


def _of_lines(lines: "OpenLines", wanted: Wanted) -> "Iterator[LogRecord]":
    from monitoring.log import files as log_files
    from monitoring.log.records import parse

    raw = wanted.value.encode()
    for line, _ in log_files.lines(*lines):
        # A text of JSON is its own bytes unless a backslash says otherwise; parsing costs most.
        if raw in line or b"\\" in line:
            record = parse(line)
            if record is not None and getattr(record, wanted.column) == wanted.value:
                yield record


def _of_table(table: "pq.ParquetFile", wanted: Wanted) -> "Iterator[LogRecord]":
    """One row group in memory at a time, and of most only the ids."""
    import pyarrow.compute as pc

    for group in range(table.num_row_groups):
        ids = table.read_row_group(group, columns=[wanted.column], use_threads=False)
        mask = pc.fill_null(pc.equal(ids.column(0), wanted.value), False)
        if pc.any(mask).as_py():
            rows = table.read_row_group(group, use_threads=False).filter(mask)
            for part in rows.to_batches(_ROWS):
                yield from _records(part)


def _records(rows: "pa.RecordBatch") -> "Iterator[LogRecord]":
    import pyarrow as pa

    from monitoring.log.records import LogRecord

    names = {name: _feature(name) for name in rows.schema.names}
    times = rows.column("ts").cast(pa.int64()).to_pylist()
    # Without ts: Python's datetimes do not reach as far.
    for micros, row in zip(times, rows.drop_columns(["ts"]).to_pylist(), strict=True):
        yield LogRecord(
            prediction_id=row["prediction_id"],
            request_id=row["request_id"],
            micros=micros,
            version=row["model_version"],
            schema=row["schema"],
            features={name: row[place] for place, name in names.items() if name is not None},
            score=row["risk_score"],
            label=row["risk_label"],
            entity=row["entity"],
            period=row["period"],
        )


def _feature(column: str) -> str | None:
    """The feature that a column holds; None for the log's own columns."""
    from monitoring.log.tables import feature_column

    if feature_column(column) != column:
        return None
    bare = column.removeprefix("feature:")
    return bare if feature_column(bare) == column else column


if __name__ == "__main__":
    sys.exit(main())
