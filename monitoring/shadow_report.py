"""`python -m monitoring.shadow_report`: a challenger against the champion, on the live rows that
both scored."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring import reports
from monitoring.labels.store import LabelStore
from monitoring.log.reading import LogReader, Query
from monitoring.performance.outcomes import KnownLabels
from monitoring.reports import NotEnoughDataError, Span
from monitoring.shadow import answers, comparison, terminal
from monitoring.shadow.pairs import pair
from registry import challenger, configuration, flags, store
from registry import terminal as registry_terminal
from registry.errors import IntegrityError, RegistryError
from registry.schema import Schema
from registry.state import State
from registry.store import Stored

_DAYS = 7
_LAG = timedelta(hours=1)
"""How much later than its answer a row may be in the shadow log; the queue takes minutes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 compared, 3 nothing to compare or unknown version, 2 usage, 6 a file is damaged."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.shadow_report", description=__doc__)
    parser.add_argument(
        "--model-version", help="vX.Y.Z; default: who is in the shadow, else who was last"
    )
    reports.add_window(parser, days_flag="--last-n-days", days=_DAYS)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = flags.parse(parser, arguments)
    try:
        window = reports.span(options, datetime.now(UTC))
        state = State.from_environment()
        with registry_terminal.console(stderr=True).status("reading the logs and the labels"):
            document = run(state, options.model_version, window)
        return _publish(state, document, as_json=options.json)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="report")
    except KeyboardInterrupt:
        print("stopped; no report was written", file=sys.stderr)
        return 130


def run(state: State, version: str | None, window: Span) -> dict[str, Any]:
    """Read both logs and the labels, join them, and make the document.

    Raises:
        UnknownVersionError, IntegrityError: the version is not there, or it, a log or the labels
            are not what they were.
        NotEnoughDataError: there is no row that both scored.
    """
    stored = store.find(state, version or _last_challenger(state))
    schema = _schema(stored)
    settings = configuration.load()
    answered = answers.read(state.inference_log, window.start, window.end)
    log = LogReader(state.shadow_log, schema)
    name = str(stored.version)
    asked = Query(name, window.start, window.end + _LAG, schema.categorical, ids=True)
    known = KnownLabels.of(LabelStore(state.labels).current())
    pairs = pair(log.batches(asked), answered, known, settings.performance.label_period)
    if not len(pairs):
        raise NotEnoughDataError(_why_nothing(state, name, window, len(answered), log))
    head = reports.head("shadow", stored.model, name, window, log.tallies)
    return head | comparison.compare(pairs, answered, challenger=name, limits=settings.guardrails)


def _last_challenger(state: State) -> str:
    """Who is in the shadow, else who was last."""
    now = challenger.read(state)
    found = now.version if now is not None else answers.newest_version(state.shadow_log)
    if found is None:
        raise NotEnoughDataError(
            f"no version is in the shadow, and none was: {state.shadow_log} has no rows; run "
            "`python -m registry shadow --version vX.Y.Z` and let the service answer some requests"
        )
    return found


def _schema(stored: Stored) -> Schema:
    try:
        return Schema.from_dict(stored.document("schema.json"))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{stored.folder}: schema.json: {error!r}") from error


def _why_nothing(state: State, version: str, window: Span, answered: int, log: LogReader) -> str:
    """And what to do about it."""
    now = challenger.read(state)
    shadowed = f"no row that {version} scored in the shadow from {window} under {state.shadow_log}"
    if others := log.tallies.other_versions:
        shadowed += f"; {others} row(s) of other versions"
    if not answered:
        return f"no answer from {window} under {state.inference_log}; choose another window"
    if now is None or now.version != version:
        return (
            f"{shadowed}; it is not in the shadow: `python -m registry shadow --version {version}`"
        )
    return f"{shadowed}, and it is in the shadow since {now.at}; does the service see requests?"


def _publish(state: State, document: dict[str, Any], *, as_json: bool) -> int:
    """Show the report, and keep it."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    console = registry_terminal.console(markup=False)
    if as_json:
        print(text)
    else:
        terminal.show(document, console)
    path = reports.keep_json(state, document, text)
    if not as_json:
        console.print(f"report: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
