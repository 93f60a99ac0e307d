"""`python -m training.retrain`: a challenger from new rows, held against the champion on the same
held-out rows, registered, and promoted if that is asked for and the guardrails pass.

Exit codes: 0 done, or with --dry-run: the guardrails would let it be promoted; 1 unexpected, or
registered already; 2 usage or contract; 3 too few rows; 4 the guardrails refuse to promote it (it
is registered), or with --dry-run: would refuse; 5, 6, 7 as of `registry promote`; 130 stopped."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import flags
from registry.errors import RegistryError, UsageError
from registry.state import State, replace_file
from training import stopping
from training.errors import ContractError, TrainingError

if TYPE_CHECKING:
    from training.retraining import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """As the module says; what is registered stays so, whatever the code."""
    options = flags.parse(_parser(), arguments)
    with stopping.stoppable():
        try:
            return _retrain(options)
        except (TrainingError, RegistryError, OSError) as error:
            if isinstance(error, ContractError):  # whose every violation was told
                return error.exit_code
            if isinstance(error, TrainingError):
                print(f"error: {error}", file=sys.stderr)
                return error.exit_code
            return flags.tell(error, about="retrain")
        except KeyboardInterrupt:
            print("stopped; nothing was registered or written", file=sys.stderr)
            return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.retrain", description=__doc__)
    parser.add_argument("--new-version", required=True, help="vX.Y.Z or vX.Y.Z-rc.N")
    parser.add_argument("--data", type=Path, help="CSV, Parquet or XLSX with labels")
    parser.add_argument(
        "--labels-from-log", action="store_true", help="logged rows whose labels were imported"
    )
    parser.add_argument(
        "--promote", action="store_true", help="make it the champion if the guardrails pass"
    )
    parser.add_argument("--reason", default="", help="why it is promoted; for the history")
    parser.add_argument(
        "--force", action="store_true", help="promote without the guardrails; needs --reason"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="compare, but register nothing; exits 4 where --promote would be refused",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.add_argument("--configuration", type=Path, help="default: configuration.yaml")
    return parser


def _retrain(options: argparse.Namespace) -> int:
    _refuse_contradictions(options)
    # Imported here, as scikit-learn takes seconds in which Ctrl-C must be answered too.
    from registry.terminal import console as terminal
    from training import comparison_terminal, retraining, violations

    console = terminal(stderr=options.json, markup=False)
    state = State.from_environment()
    try:
        outcome = retraining.run(state, _plan(options), console)
    except ContractError as error:
        name = "log" if options.data is None else options.data.stem
        listing = Path(f"{name}-violations.csv")
        violations.report(error.violations, "nothing was trained", listing)
        raise
    text = json.dumps(outcome.document, indent=1, ensure_ascii=False, allow_nan=False)
    if options.json:
        print(text)
    else:
        comparison_terminal.show(outcome.document, terminal())
    code = outcome.exit_code
    if outcome.document["registered"]:
        try:
            page = _keep(state, outcome.document, text)
        except OSError as error:
            told = flags.tell(error, about=f"comparison under {state.reports}")
            code = code or told
        else:
            console.print(f"report: {page}", soft_wrap=True)
    if outcome.stopped:
        print(f"stopped; {options.new_version} was registered before", file=sys.stderr)
    return code


def _refuse_contradictions(options: argparse.Namespace) -> None:
    if options.data is None and not options.labels_from_log:
        raise UsageError("no rows to train on: give --data FILE, --labels-from-log, or both")
    if options.force and not options.promote:
        raise UsageError("--force goes with --promote")
    if options.force and not options.reason.strip():
        raise UsageError("--force skips the guardrails: say why with --reason")
    if options.reason and not options.promote:
        raise UsageError("--reason goes with --promote")


def _plan(options: argparse.Namespace) -> "Plan":
    from monitoring.log.writing import EntityKeys
    from registry import configuration
    from training.retrain_rows import Sources
    from training.retraining import Plan

    file = options.configuration or configuration.file_in_force()
    keys, now = EntityKeys.from_environment(), datetime.now(UTC)
    return Plan(
        version=options.new_version,
        sources=Sources(options.data, options.labels_from_log, keys, now),
        configuration=configuration.load(file),
        file=file,
        promote=options.promote,
        force=options.force,
        reason=options.reason,
        dry_run=options.dry_run,
    )


def _keep(state: State, document: dict[str, Any], text: str) -> Path:
    """Write the comparison beside the reports, as JSON and as a page."""
    from monitoring.reports import keep_json
    from training import comparison_page

    content = comparison_page.render(document)
    page = keep_json(state, document, text).with_suffix(".html")
    replace_file(page, content.encode())
    return page


if __name__ == "__main__":
    sys.exit(main())
