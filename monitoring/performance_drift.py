"""`python -m monitoring.performance_drift`: how a version did where the outcome is known by now."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring import reports, version_files
from monitoring.drift.analysis import Subject
from monitoring.labels import matching as label_matching
from monitoring.labels.store import CurrentLabels, Key, LabelStore
from monitoring.log.reading import LogReader, Query
from monitoring.performance.analysis import Standard, analyse
from monitoring.performance.label_checks import Arrivals
from monitoring.performance.outcomes import KnownLabels, join
from monitoring.reports import NotEnoughDataError, Span
from monitoring.times import micros
from registry import configuration, flags, store, terminal
from registry.configuration import PerformanceSettings
from registry.errors import IntegrityError, RegistryError
from registry.state import State

_DAYS = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """0 green, 10 yellow, 20 red, 3 inconclusive, no rows or unknown version, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.performance_drift", description=__doc__
    )
    reports.add_flags(parser, days_flag="--window", days=_DAYS)
    options = flags.parse(parser, arguments)
    try:
        now = datetime.now(UTC)
        window = reports.span(options, now)
        state = State.from_environment()
        with terminal.console(stderr=True).status("reading the log and the labels"):
            document = run(state, options.model, options.model_version, window, now)
        return reports.publish(state, document, options)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="report")
    except KeyboardInterrupt:
        print("stopped; no report was written", file=sys.stderr)
        return 130


def run(
    state: State, model: str | None, version: str | None, window: Span, now: datetime
) -> dict[str, Any]:
    """Read the log and the labels, join, judge, and make the document; labels are due by `now`.

    Raises:
        UnknownVersionError, IntegrityError: the version is not there, or it or the labels are not
            what they were.
        NotEnoughDataError: the log has no row of that version in the window.
    """
    monitored = version_files.read(state, model, version)
    subject = monitored.subject
    settings = configuration.load().performance
    current = LabelStore(state.labels).current()
    log = LogReader(state.inference_log, subject.schema)
    asked = Query(subject.version, window.start, window.end, subject.schema.categorical, ids=True)
    joined = join(log.batches(asked), KnownLabels.of(current), settings.label_period)
    if not len(joined.outcomes):
        others = log.tallies.other_versions
        raise NotEnoughDataError(
            f"no prediction of {subject.version} from {window} under {state.inference_log}"
            + f"; {others} row(s) of other versions" * bool(others)
        )
    since = (current["observed_at"] >= window.start).to_numpy(dtype=np.bool_)
    arrivals = Arrivals(
        now=micros(now),
        delay_days=settings.label_delay_days,
        **_training(state, monitored.model, subject),
        labels=int(np.count_nonzero(since | joined.met)),
        orphans=_orphans(state, current, since & ~joined.met, settings),
    )
    standard = Standard(
        settings.recall_floor, subject.threshold, subject.training, subject.calibration
    )
    head = reports.head("performance", monitored.model, subject.version, window, log.tallies)
    outlook = reports.outlook(state, monitored.model, subject.version)
    return head | outlook | analyse(joined.outcomes, arrivals, standard)


def _orphans(
    state: State, current: CurrentLabels, left: NDArray[np.bool_], settings: PerformanceSettings
) -> int:
    """Labels observed since the window began that are about no row of the log, whatever its
    version and day. What met the window's rows needs no second look."""
    if not left.any():
        return 0
    about = current.loc[left, list(Key._fields)].astype(object)
    keys = [Key(*one) for one in about.where(about.notna(), None).itertuples(index=False)]
    matches = label_matching.match(
        state.inference_log, keys, settings.label_period, lambda share: None
    )
    return len(keys) - len(matches.keys)


def _training(state: State, model: str, subject: Subject) -> dict[str, int]:
    """What the version's own metrics were computed from."""
    metrics = store.get(state, model, subject.version).document("metrics.json")
    try:
        rows, positives = int(metrics["rows"]), int(metrics["positives"])
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{model}:{subject.version}: metrics.json: {error!r}") from error
    return {
        "training_rows": rows,
        "training_positives": positives,
        "training_entities": subject.reference.entities,
    }


if __name__ == "__main__":
    sys.exit(main())
