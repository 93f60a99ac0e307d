"""`python -m monitoring.refresh`: the newest drift and performance reports of the champion, for
/metrics and for `monitoring.status`. The service runs it in the background by itself."""

import argparse
import errno
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitoring import drift_report, performance_drift
from monitoring.labels.store import LabelStore
from monitoring.rendering import exposition
from monitoring.reports import NotEnoughDataError, Span
from registry import configuration, flags, history, pointer
from registry.configuration import WatchSettings
from registry.errors import RegistryError, UnknownVersionError
from registry.state import State, exclusive, replace_file

_NICENESS = 19
_BUSY_SECONDS = 120.0
UNWRITABLE = 8
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)

Document = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done or fresh enough, 1 one cannot be made or kept, 2 usage, 3 the champion is not in the
    store, 5 somebody else is at it, 6 a version or the labels are not what they were, 8 nothing may
    be written here."""
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
    try:
        return _refresh_once(State.from_environment(), options.max_age)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="BENTOML_HOME")
    except KeyboardInterrupt:
        print("stopped; the reports before this one stand", file=sys.stderr)
        return 130


def _refresh_once(state: State, max_age: float) -> int:
    """One at a time on this state, and not what is fresh."""
    settings = configuration.load().watch
    busy = "another refresh is running; its reports will do"
    try:
        with exclusive(state.latest_reports / ".lock", busy=busy, seconds=_BUSY_SECONDS):
            if not _is_fresh(state, max_age):
                return _refresh(state, settings, datetime.now(UTC))
        return 0
    except OSError as error:
        code = flags.tell(error, about=f"reports under {state.reports}")
        return UNWRITABLE if _is_denied(state, error) else code


def _is_denied(state: State, error: OSError) -> bool:
    """Whether who runs this may only read the reports: others make them, or nobody does."""
    where = Path(error.filename or "/")
    return error.errno in _DENIED and where.is_relative_to(state.reports)


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
    failures: list[RegistryError | OSError] = []
    drift = Span(now - timedelta(days=settings.drift_days), now)
    performance = Span(now - timedelta(days=settings.performance_days), now)
    documents = [
        _made(state, "drift", lambda: drift_report.run(state, None, None, drift), failures),
        _made(
            state,
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
    failing = {
        document["kind"]: datetime.fromisoformat(document["failing_since"])
        for document in documents
        if "failing_since" in document
    }
    replace_file(state.report_metrics, exposition.text(found, _labels_at(state), failing))
    return max((flags.tell(error, about="reports") for error in failures), default=0)


def _made(
    state: State,
    kind: str,
    make: Callable[[], Document],
    failures: list[RegistryError | OSError],
) -> Document:
    """The report, or why there is none: nothing was predicted yet, or something is wrong."""
    try:
        return make()
    except (RegistryError, OSError) as error:
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        problem = (
            f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        )
        none = {"kind": kind, "schema": 1, "made_at": made_at, "problem": problem}
        if _is_expected(state, error):
            return none | {"expected": True}
        failures.append(error)
        since = _failing_since(state, kind) or made_at
        return none | {"expected": False, "failing_since": since}


def _is_expected(state: State, error: RegistryError | OSError) -> bool:
    """Whether there is nothing to report on yet; a champion that cannot be found is no such."""
    if isinstance(error, UnknownVersionError):
        return pointer.read(state) is None and not history.read(state)
    return isinstance(error, NotEnoughDataError)


def _failing_since(state: State, kind: str) -> str | None:
    """When the last report of this kind was made, or the first failure where there was none; None
    where this failure is the first that is known."""
    try:
        before = json.loads((state.latest_reports / f"{kind}.json").read_bytes())
        since = before.get("failing_since") or ("problem" not in before and before["made_at"])
        return datetime.fromisoformat(since).isoformat(timespec="seconds") if since else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _labels_at(state: State) -> datetime | None:
    """When labels were last imported; None where none ever were, or they cannot be read."""
    try:
        newest = LabelStore(state.labels).current()["imported_at"].max()
    except (RegistryError, OSError):
        return None
    return None if newest != newest else newest.to_pydatetime()  # NaT is not itself


if __name__ == "__main__":
    sys.exit(main())
