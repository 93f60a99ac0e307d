"""`python -m training.evaluate`: a registered version on labelled rows, period by period.

The file is held against the version's own contract, not against configuration.yaml, which may have
moved on. Rows whose label is not known yet count for drift and not for the metrics.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from monitoring.drift.comparison import DriftReport, FeatureDrift, compare
from monitoring.performance.evaluation import Evaluation, evaluate
from monitoring.reference.profile import ReferenceProfile
from registry import configuration, flags, loaded, manifest, store, terminal
from registry.configuration import Configuration, ModelSettings
from registry.errors import IntegrityError, RegistryError
from registry.state import State
from training import period_tables, violations
from training.data import Rows, hold, read_table
from training.errors import ContractError, TrainingError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Registered:
    """A verified version with what evaluating it needs."""

    version: loaded.LoadedVersion
    roles: ModelSettings
    reference: ReferenceProfile


@dataclass(frozen=True)
class Slice:
    """One period, or with `period` None all rows; the evaluations are None without labels."""

    period: int | float | str | None
    rows: int
    evaluation: Evaluation | None
    flag_everyone: Evaluation | None
    drift: DriftReport

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON; the drift without its bins."""
        drifts = (*self.drift.features, self.drift.score)
        return {
            "period": self.period,
            "rows": self.rows,
            "evaluation": None if self.evaluation is None else self.evaluation.to_dict(),
            "flag_everyone": None if self.flag_everyone is None else self.flag_everyone.to_dict(),
            "drift": {
                "status": self.drift.status,
                "entities": self.drift.entities,
                "psi": {drift.name: _drift(drift) for drift in drifts},
            },
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 2 usage or a file that breaks the contract, 3 unknown version, 6 integrity."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--model-version", required=True, help="vX.Y.Z")
    parser.add_argument("--model", help="default: the one that has the version")
    parser.add_argument("--data", type=Path, required=True, help="CSV, Parquet or XLSX")
    parser.add_argument("--by-period", action="store_true", help="each period of the time column")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = flags.parse(parser, arguments)
    try:
        with Console(stderr=True).status("evaluate"):
            registered = read_version(
                State.from_environment(), options.model, options.model_version
            )
            rows = hold(read_table(options.data), registered.roles, registered.version.schema)
            slices = run(registered, rows, configuration.load(), by_period=options.by_period)
    except ContractError as error:
        listing = Path(f"{options.data.stem}-violations.csv")
        violations.report(error.violations, "nothing was evaluated", listing)
        return error.exit_code
    except (TrainingError, RegistryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    name = f"{registered.version.model}:{registered.version.version}"
    if options.json:
        content = {
            "model": registered.version.model,
            "model_version": registered.version.version,
            "data": options.data.name,
            "slices": [part.to_dict() for part in slices],
        }
        print(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        period_tables.show(name, registered.roles.time_column, slices, terminal.console())
    return 0


def read_version(state: State, model: str | None, version: str) -> Registered:
    """Find, verify and load a registered version.

    Raises:
        UnknownVersionError, UsageError: there is no such version or model.
        IntegrityError: it is not what was registered.
    """
    stored = store.find(state, version, model)
    ready = loaded.load(stored.folder, version, stored.digest, max_rows=1)
    contents = manifest.read_verified(stored.folder, ready.digest)
    try:
        facts = json.loads(contents["model.json"])
        columns = {key: facts[key] for key in ("target", "time_column", "entity_column")}
        reference = ReferenceProfile.from_dict(json.loads(contents["reference.json"]))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{stored.folder}: not a version: {error!r}") from error
    return Registered(ready, ModelSettings(stored.model, **columns), reference)


def run(
    registered: Registered, rows: Rows, settings: Configuration, *, by_period: bool
) -> list[Slice]:
    """All rows as the last slice, and each period before it if wanted. Drift limits, resamples and
    seed are those of `settings`.

    Raises:
        TrainingError: there are no rows, or periods are wanted of a version without a time column.
    """
    if len(rows.target) == 0:
        raise TrainingError("the file holds no rows")
    if by_period and rows.periods is None:
        raise TrainingError("this version has no time column, so there are no periods to tell")
    scores = registered.version.scorer.score(list(zip(*rows.columns.values(), strict=True)))
    chosen: list[tuple[Any, Mask]] = [(None, np.ones(len(scores), dtype=bool))]
    if by_period and rows.periods is not None:
        known = sorted({period for period in rows.periods.tolist() if period is not None})
        chosen = [(period, np.equal(rows.periods, period)) for period in known] + chosen
    return [_slice(registered, rows, scores, settings, *part) for part in chosen]


def _slice(
    registered: Registered,
    rows: Rows,
    scores: NDArray[np.float64],
    settings: Configuration,
    period: int | float | str | None,
    chosen: Mask,
) -> Slice:
    columns = {name: values[chosen] for name, values in rows.columns.items()}
    entities = len(np.unique(rows.entities[chosen]))
    report = compare(registered.reference, columns, scores[chosen], entities, settings.drift)
    labelled = chosen & ~np.isnan(rows.target)
    flagged = scores >= registered.version.threshold
    model = everyone = None
    if labelled.any():
        model = _evaluate(rows, labelled, scores, flagged, settings)
        everyone = _evaluate(rows, labelled, np.ones_like(scores), np.ones_like(flagged), settings)
    return Slice(period, int(chosen.sum()), model, everyone, report)


def _evaluate(
    rows: Rows, chosen: Mask, scores: NDArray[np.float64], flagged: Mask, settings: Configuration
) -> Evaluation:
    return evaluate(
        rows.target[chosen].astype(np.int8),
        scores[chosen],
        flagged[chosen],
        rows.entities[chosen],
        resamples=settings.training.bootstrap_resamples,
        seed=settings.training.seed,
    )


def _drift(drift: FeatureDrift) -> dict[str, Any]:
    return {
        "psi": drift.psi,
        "noise": drift.noise,
        "q": drift.q,
        "null_before": drift.null_before,
        "null_now": drift.null_now,
        "unseen_now": drift.unseen_now,
        "status": drift.status,
    }


if __name__ == "__main__":
    sys.exit(main())
