"""`python -m monitoring.drift_report`: what the service saw lately, against the reference."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from monitoring import reports, version_files
from monitoring.drift.analysis import analyse, hold_estimate
from monitoring.log.reading import LogReader
from registry import configuration, flags, terminal
from registry.errors import RegistryError
from registry.state import State


def main(arguments: Sequence[str] | None = None) -> int:
    """0 green, 10 yellow, 20 red, 3 not enough data or unknown version, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.drift_report", description=__doc__)
    reports.add_flags(parser, days_flag="--last-n-days", days=7)
    parser.add_argument("--by", choices=["day"], help="a table of each day's PSI too")
    options = flags.parse(parser, arguments)
    try:
        span = reports.span(options, datetime.now(UTC))
        state = State.from_environment()
        with terminal.console(stderr=True).status("reading the log"):
            document = run(state, options.model, options.model_version, span)
        return reports.publish(state, document, options, by_day=options.by == "day")
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="report")
    except KeyboardInterrupt:
        print("stopped; no report was written", file=sys.stderr)
        return 130


def run(state: State, model: str | None, version: str | None, span: reports.Span) -> dict[str, Any]:
    """Read the log, compare, and make the document.

    Raises:
        UnknownVersionError, IntegrityError: the version is not there, or not what it was.
        NotEnoughDataError: the log has no row of that version in the window.
    """
    monitored = version_files.read(state, model, version)
    subject = monitored.subject
    log = LogReader(state.inference_log, subject.schema)
    settings = configuration.load()
    found = analyse(subject, span.start, span.end, log.batches, settings.drift)
    tallies = log.tallies
    if found is None:
        raise reports.NotEnoughDataError(
            f"no prediction of {subject.version} from {span} under {state.inference_log}"
            + f"; {tallies.other_versions} row(s) of other versions" * bool(tallies.other_versions)
        )
    head = reports.head("drift", monitored.model, subject.version, span, tallies)
    found = hold_estimate(found, recall_floor=settings.performance.recall_floor)
    return head | reports.outlook(state, monitored.model, subject.version) | found


if __name__ == "__main__":
    sys.exit(main())
