"""`python -m training.train`: rows with labels in, a version's artefacts out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from registry.errors import RegistryError
from training.errors import ContractError, TrainingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write; exit codes as in training.errors."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="CSV, Parquet or XLSX; default: the bundled cohort"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("artifacts"), help="default: artifacts/"
    )
    parser.add_argument("--configuration", type=Path, help="default: configuration.yaml")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    options = parser.parse_args(arguments)
    try:
        return _train(options)
    except (TrainingError, RegistryError) as error:
        if not isinstance(error, ContractError):  # whose every violation was told
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130


def _train(options: argparse.Namespace) -> int:
    # Imported here, as scikit-learn takes seconds in which Ctrl-C must be answered too.
    from registry.configuration import load
    from registry.terminal import console as terminal
    from training import violations
    from training.run import report, run

    console = terminal(stderr=options.json, markup=False)
    try:
        trained = run(options.data, options.output, load(options.configuration), console)
    except ContractError as error:
        listing = options.output.parent / f"{options.output.name}-violations.csv"
        violations.report(error.violations, "nothing was trained", listing)
        raise
    if options.json:
        print((options.output / "metrics.json").read_text(encoding="utf-8"), end="")
    else:
        report(trained, options.output, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
