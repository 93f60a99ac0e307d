"""What every report's command line has in common: its window, its head, and where it goes."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Protocol

from monitoring.log.reading import Tallies
from monitoring.rendering import exposition, html_report, terminal_report
from registry import flags, moves, pointer, store, terminal
from registry.errors import RegistryError, UsageError
from registry.state import State, replace_file

EXIT_CODES = {"green": 0, "yellow": 10, "red": 20, "inconclusive": 3}
_MOST_DAYS = 36_500
_DAY = timedelta(days=1)


class NotEnoughDataError(RegistryError):
    """The log holds nothing to report on."""

    exit_code = 3


@dataclass(frozen=True)
class Span:
    """From `start` to before `end`, both UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


class Options(Protocol):
    """The flags of `add_flags`, parsed."""

    json: bool
    lang: str
    textfile: Path | None
    push: str | None


def add_flags(parser: argparse.ArgumentParser, *, days_flag: str, days: int) -> None:
    """The flags that reports share; `days_flag` is how this one calls the length of its window."""
    parser.add_argument("--model-version", help="vX.Y.Z; default: the champion")
    parser.add_argument("--model", help="default: the champion's")
    add_window(parser, days_flag=days_flag, days=days)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--lang", choices=["en", "pt"], default="en", help="default: en")
    parser.add_argument("--textfile", type=_textfile, help="a .prom file for node_exporter")
    parser.add_argument(
        "--push", type=_gateway, metavar="URL", help="push metrics to a Pushgateway"
    )


def add_window(parser: argparse.ArgumentParser, *, days_flag: str, days: int) -> None:
    """The flags that `span` reads."""
    parser.add_argument(
        days_flag, dest="days", type=_days, metavar="DAYS", help=f"up to now; default: {days}"
    )
    parser.add_argument(
        "--from", dest="start", type=_moment, help="date or time in UTC, instead of days up to now"
    )
    parser.add_argument(
        "--to", dest="end", type=_last_moment, help="date (all of it) or time in UTC; default: now"
    )
    parser.set_defaults(default_days=days)


def span(options: argparse.Namespace, now: datetime) -> Span:
    """The window that the flags ask for.

    Raises:
        UsageError: both days and --from are given, or the window is empty.
    """
    if options.days is not None and options.start is not None:
        raise UsageError("give --from or a number of days, not both")
    end = min(options.end or now, now)  # the service goes on, and two looks must see the same
    try:
        start = options.start or end - timedelta(days=options.days or options.default_days)
    except OverflowError as error:
        raise UsageError("the window would start before the calendar does") from error
    if start >= end:
        raise UsageError(f"the window {Span(start, end)} is empty; --from must be before --to")
    return Span(start, end)


def head(kind: str, model: str, version: str, window: Span, tallies: Tallies) -> dict[str, Any]:
    """What every document opens with; times are UTC."""
    return {
        "kind": kind,
        "schema": 1,
        "model": model,
        "model_version": version,
        "start": window.start.isoformat(timespec="seconds"),
        "end": window.end.isoformat(timespec="seconds"),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "log": {
            "torn_lines": tallies.torn,
            "invalid_lines": tallies.invalid,
            "rows_of_other_versions": tallies.other_versions,
        },
    }


def outlook(state: State, model: str, version: str) -> dict[str, str | None]:
    """What a next step about this version can go to: the version that a rollback from it would
    serve, where it is the champion and there is one, and the next free number; None for what there
    is not, and for what a damaged registry does not tell, as a verdict must not be lost with it."""
    found: dict[str, str | None] = {"rollback_to": None, "next_version": None}
    with suppress(RegistryError, OSError, ValueError):
        found["next_version"] = str(store.next_version(state))
    with suppress(RegistryError, OSError, ValueError):
        events = pointer.events(state)
        if events and (events[-1]["model"], events[-1]["to"]) == (model, version):
            found["rollback_to"] = moves.previous(state, events)[1]
    return found


def publish(
    state: State, document: dict[str, Any], options: Options, *, by_day: bool = False
) -> int:
    """Show the report, keep it as JSON and HTML, send its metrics, and return its exit code.

    The verdict comes first and stays: what cannot be written or sent after it is one line each. A
    report that was not kept is no success of any colour: its exit code is that of the error. What
    could not be sent is, only where there is no alarm to tell of.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    if options.json:
        print(text)
    else:
        terminal_report.show(document, options.lang, terminal.console(), by_day=by_day)
    kept = _delivered(state, lambda: _keep(state, document, text, options))
    sent = 0
    for send in _sends(document, options):
        sent = _delivered(state, send) or sent
    return kept or EXIT_CODES[document["status"]] or sent


def keep_json(state: State, document: dict[str, Any], text: str) -> Path:
    """Write the document's text to a file of its own under reports/, and return the file."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    path = state.reports / f"{document['kind']}-{document['model_version']}-{stamp}.json"
    replace_file(path, (text + "\n").encode())
    return path


def _delivered(state: State, deliver: Callable[[], None]) -> int:
    """0, or the exit code of what was told to be wrong."""
    try:
        deliver()
    except (RegistryError, OSError) as error:
        return flags.tell(error, about=f"report under {state.reports}")
    return 0


def _keep(state: State, document: dict[str, Any], text: str, options: Options) -> None:
    page = keep_json(state, document, text).with_suffix(".html")
    replace_file(page, html_report.render(document, options.lang).encode())
    if not options.json:
        terminal.console(markup=False).print(f"report: {page}", soft_wrap=True)


def _sends(document: dict[str, Any], options: Options) -> Iterator[Callable[[], None]]:
    if (path := options.textfile) is not None:
        yield lambda: exposition.textfile(document, path)
    if (url := options.push) is not None:
        yield lambda: exposition.push(document, url)


def _textfile(text: str) -> Path:
    if not text.endswith(".prom"):
        raise argparse.ArgumentTypeError(f"node_exporter reads *.prom only, got {text!r}")
    if not Path(text).absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{Path(text).parent} is no folder")
    return Path(text)


def _gateway(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"expected http://host:port, got {text!r}")
    return text


def _days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"expected days above 0 and at most {_MOST_DAYS}")
    return value


def _moment(text: str) -> datetime:
    """A date or a time of ISO 8601; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"expected a date or time such as 2026-11-20 or 2026-11-20T14:00, got {text!r}"
        ) from error


def _last_moment(text: str) -> datetime:
    """Like `_moment`; a date means its end."""
    try:
        found = datetime.combine(date.fromisoformat(text), time.min, UTC)
    except ValueError:
        return _moment(text)
    return min(found, datetime.max.replace(tzinfo=UTC) - _DAY) + _DAY
