"""`python -m monitoring.refresh`: the newest drift and performance reports of the champion, for
/metrics and for `monitoring.status`. The service runs it in the background by itself."""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring import drift_report, performance_drift
from monitoring.labels.store import LabelStore
from monitoring.rendering import exposition
from monitoring.reports import NotEnoughDataError, Span
from registry import configuration, flags
from registry.configuration import WatchSettings
from registry.errors import IntegrityError, RegistryError, UnknownVersionError
from registry.state import State, exclusive, replace_file

_NICENESS = 19
_BUSY_SECONDS = 120.0

Document = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done or fresh enough, 1 one cannot be made or kept, 2 usage, 5 somebody else is at it, 6 a
    version or the labels are not what they were."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.refresh", description=__doc__)
    parser.add_argument(
        "--max-age",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="do nothing where the newest are not older; default: 0",
    )
    options = flags.parse(parser, arguments)
    os.nice(_NICENESS)  # answers come first
    home = "BENTOML_HOME"
    try:
        state = State.from_environment()
        home = f"reports under {state.reports}"
        settings = configuration.load().watch
        busy = "another refresh is running; its reports will do"
        lock = state.latest_reports / ".lock"
        with exclusive(lock, busy=busy, seconds=_BUSY_SECONDS):
            if not _is_fresh(state, options.max_age):
                return _refresh(state, settings, datetime.now(UTC))
        return 0
    except (RegistryError, OSError) as error:
        return flags.tell(error, about=home)
    except KeyboardInterrupt:
        print("stopped; the reports before this one stand", file=sys.stderr)
        return 130


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds of 0 or more, got {text!r}")
    return value


def _is_fresh(state: State, max_age: float) -> bool:
    """Whether the newest reports are not older than that, nor than the last look at who is champion
    that anybody wrote down."""
    try:
        made = state.report_metrics.stat().st_mtime
        return time.time() - made <= max_age and made >= state.champion.stat().st_mtime
    except OSError:
        return False


def _refresh(state: State, settings: WatchSettings, now: datetime) -> int:
    """The exit code: the highest of the reports that there should be and are not."""
    failures: list[RegistryError] = []
    drift = Span(now - timedelta(days=settings.drift_days), now)
    performance = Span(now - timedelta(days=settings.performance_days), now)
    documents = [
        _made("drift", lambda: drift_report.run(state, None, None, drift), failures),
        _made(
            "performance",
            lambda: performance_drift.run(state, None, None, performance, now),
            failures,
        ),
    ]
    for document in documents:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        replace_file(state.latest_reports / f"{document['kind']}.json", text.encode())
        print(f"{document['kind']}: {document.get('status') or document['problem']}")
    found = [document for document in documents if "problem" not in document]
    replace_file(state.report_metrics, exposition.text(found, _labels_at(state)))
    return max((flags.tell(error, about="reports") for error in failures), default=0)


def _made(kind: str, make: Callable[[], Document], failures: list[RegistryError]) -> Document:
    """The report, or why there is none: nothing was predicted yet, or something is wrong."""
    try:
        return make()
    except RegistryError as error:
        expected = isinstance(error, NotEnoughDataError | UnknownVersionError)
        if not expected:
            failures.append(error)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"problem": str(error), "expected": expected}
        return {"kind": kind, "schema": 1, "made_at": made_at, **told}


def _labels_at(state: State) -> datetime | None:
    """When labels were last imported; None where none ever were, or they cannot be read."""
    try:
        newest = LabelStore(state.labels).current()["imported_at"].max()
    except IntegrityError:
        return None
    return None if newest != newest else newest.to_pydatetime()  # NaT is not itself


if __name__ == "__main__":
    sys.exit(main())
