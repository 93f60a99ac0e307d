"""`python -m monitoring.drift_report`: what the service saw lately, against the reference."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from monitoring import window as log_window
from monitoring.drift import WORST_FIRST, DriftReport, FeatureDrift, Status, compare
from monitoring.profile import ReferenceProfile
from monitoring.window import Window
from registry import configuration, flags, manifest, pointer, store, terminal
from registry.errors import RegistryError
from registry.schema import Schema
from registry.state import State, replace_file

EXIT_CODES: dict[Status, int] = {"green": 0, "yellow": 10, "red": 20, "inconclusive": 3}
_MOST_DAYS = 36_500
_COLOURS = {"green": "green", "yellow": "yellow", "red": "red", "inconclusive": "magenta"}
_NEXT = {
    "green": "nothing to do",
    "yellow": "watch it: run this again tomorrow, and ask the data team about the features above",
    "red": "check the source of the features above for a bug before anything else; "
    "`python -m registry history` shows whether the version changed with it",
    "inconclusive": "too few rows to tell; widen the window with --last_n_days",
}


class NotEnoughDataError(RegistryError):
    """The log holds nothing to compare."""

    exit_code = 3


@dataclass(frozen=True)
class Run:
    """One report with what it was made from."""

    model: str
    version: str
    start: datetime
    end: datetime
    window: Window
    report: DriftReport

    def to_dict(self) -> dict[str, Any]:
        """The JSON under reports/; times are UTC."""
        return {
            "model": self.model,
            "model_version": self.version,
            "start": self.start.isoformat(timespec="seconds"),
            "end": self.end.isoformat(timespec="seconds"),
            "log": {
                "torn_lines": self.window.torn,
                "invalid_lines": self.window.invalid,
                "rows_of_other_versions": self.window.other_versions,
            },
            **self.report.to_dict(),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 green, 10 yellow, 20 red, 3 not enough data or unknown version, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.drift_report", description=__doc__)
    parser.add_argument("--model-version", help="vX.Y.Z; default: the champion")
    parser.add_argument("--model", help="default: the champion's")
    parser.add_argument("--last-n-days", type=_days, default=7, help="default: 7, up to now")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = flags.parse(parser, arguments)
    try:
        state = State.from_environment()
        done = run(state, options.model, options.model_version, options.last_n_days)
        path = _write(state, done)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="report")
    except KeyboardInterrupt:
        print("stopped; no report was written", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(done.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        show(done, path)
    return EXIT_CODES[done.report.status]


def run(state: State, model: str | None, version: str | None, days: float) -> Run:
    """Read the log and compare.

    Raises:
        UnknownVersionError, IntegrityError: the version is not there, or not what it was.
        NotEnoughDataError: the log has no row of that version in the window.
    """
    stored = _chosen(state, model, version)
    name, chosen = stored.model, str(stored.version)
    contents = manifest.read_verified(stored.folder)
    end = datetime.now(UTC)
    start = end - timedelta(days=days)
    schema = Schema.from_dict(json.loads(contents["schema.json"]))
    window = log_window.read(state.inference_log, schema, chosen, start, end)
    if window.rows == 0:
        others = f"; {window.other_versions} row(s) of other versions" * bool(window.other_versions)
        raise NotEnoughDataError(
            f"no prediction of {chosen} in the last {days:g} day(s) under {state.inference_log}"
            f"{others}"
        )
    reference = ReferenceProfile.from_dict(json.loads(contents["reference.json"]))
    report = compare(
        reference, window.columns, window.scores, window.entities, configuration.load().drift
    )
    return Run(name, chosen, start, end, window, report)


def _chosen(state: State, model: str | None, version: str | None) -> store.Stored:
    if version is not None:
        return store.find(state, version, model)
    champion = pointer.required(state)
    return store.get(state, model or champion.model, champion.version)


def show(done: Run, path: Path) -> None:
    """The report on the terminal, worst feature first."""
    report = done.report
    console = terminal.console()
    table = Table(
        title=f"drift of {done.model}:{done.version}, {done.start:%Y-%m-%d %H:%M} to "
        f"{done.end:%Y-%m-%d %H:%M} UTC"
    )
    table.add_column("feature", overflow="fold")
    for name in ("PSI", "noise", "q", "missing", "unseen"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("status", overflow="fold")
    for drift in (report.score, *sorted(report.features, key=_worst_first)):
        table.add_row(*_cells(drift), f"[{_COLOURS[drift.status]}]{drift.status}[/]")
    console.print(table)
    console.print(f"{report.rows} rows about {report.entities} entities; {_log_words(done.window)}")
    unclear = sum(d.status == "inconclusive" for d in (report.score, *report.features))
    if unclear and report.status != "inconclusive":
        console.print(
            f"{unclear} inconclusive: the PSI is high but noise explains it, or too few rows"
        )
    console.print(f"status: [{_COLOURS[report.status]}]{report.status}[/]; {_NEXT[report.status]}")
    console.print(f"report: {path}", soft_wrap=True)


def _cells(drift: FeatureDrift) -> list[str]:
    missing = f"{drift.null_before:.1%} → {drift.null_now:.1%}"
    unseen = "" if drift.unseen_now is None else f"{drift.unseen_now:.1%}"
    return [drift.name, f"{drift.psi:.3f}", f"{drift.noise:.3f}", f"{drift.q:.3g}", missing, unseen]


def _worst_first(drift: FeatureDrift) -> tuple[int, float]:
    return WORST_FIRST.index(drift.status), drift.noise - drift.psi


def _log_words(window: Window) -> str:
    return (
        f"log: {window.torn} torn and {window.invalid} invalid line(s) left out, "
        f"{window.other_versions} row(s) of other versions"
    )


def _write(state: State, done: Run) -> Path:
    path = state.reports / f"drift-{done.version}-{done.end:%Y%m%dT%H%M%S%fZ}.json"
    content = json.dumps(done.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    replace_file(path, (content + "\n").encode())
    return path


def _days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"expected days above 0 and at most {_MOST_DAYS}")
    return value


if __name__ == "__main__":
    sys.exit(main())
