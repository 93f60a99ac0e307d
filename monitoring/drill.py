"""`python -m monitoring.drill NAME`: an incident on purpose, in a scratch service of its own: the
fault, the alert that it raises in a real Prometheus, the runbook's commands, the recovery."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring.drills import processes
from monitoring.drills.errors import ImpossibleError
from monitoring.watching.binaries import MissingBinaryError, find
from registry import flags
from registry.errors import RegistryError, UsageError
from registry.state import replace_file

if TYPE_CHECKING:
    from monitoring.drills.plot import Plot
    from monitoring.drills.timeline import Timeline

NAMES = (
    "5xx",
    "latency",
    "drift",
    "data-bug",
    "recall",
    "bad-promote",
    "worker-crash",
    "disk-full",
    "corrupt-model",
)
ALL = "all"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 recovered as it should, 1 not, 2 usage, 3 cannot be drilled here, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.drill", description=__doc__)
    parser.add_argument(
        "name", choices=[*NAMES, ALL], metavar="NAME", help=f"{', '.join(NAMES)}, or {ALL}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the timelines here too")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    options = flags.parse(parser, arguments)
    with processes.stoppable():
        try:
            with processes.adopting():
                return _drill(options)
        except (RegistryError, OSError) as error:
            return flags.tell(error, about="drill")
        except KeyboardInterrupt:
            print("stopped; everything that the drill started was ended", file=sys.stderr)
            return 130


def _drill(options: argparse.Namespace) -> int:
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise UsageError(f"--json {options.json}: there is no folder {options.json.parent}")
    _refuse_without_prometheus()
    # Imported here, as what they import takes a second in which a wrong call should be told.
    from monitoring.drills import rendering, staging, timeline
    from monitoring.drills.base import Base
    from monitoring.drills.catalogue import PLOTS

    plots = [PLOTS[name] for name in (NAMES if options.name == ALL else [options.name])]
    told = []
    with staging.scratch(keep=options.keep, say=rendering.say) as folder:
        base = Base(folder / "base")
        rendering.say("making a champion to drill with")
        base.prepare(_bad(plots))
        for plot in plots:
            rendering.title(plot.name, plot.fault)
            told.append(staging.play(plot, base, folder / plot.name, rendering.say))
            rendering.show(told[-1])
            _write(options.json, told)
    if len(told) > 1:
        rendering.summary(told)
    return timeline.exit_code(told)


def _refuse_without_prometheus() -> None:
    try:
        find("prometheus")
        find("prometheus-alertmanager", "alertmanager")
    except MissingBinaryError as error:  # which nobody may read as: it did not recover
        raise ImpossibleError(str(error)) from error


def _bad(plots: "Sequence[Plot]") -> list[str]:
    return sorted({version for plot in plots for version in plot.bad})


def _write(path: Path | None, told: "Sequence[Timeline]") -> None:
    """After each drill, so that a run that is stopped has told of those before."""
    if path is not None:
        content = {"kind": "drills", "schema": 1, "drills": [one.to_dict() for one in told]}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        replace_file(path, (text + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
