"""The bundled cohort: synthetic pupils of a school-support programme, to train, show and drill.

All rows are simulated; only published aggregates of a real programme shaped them. The same plan
gives the same rows, and the same command the same bytes.
"""

import argparse
import io
import json
import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from training.cohort_faults import DRIFTS, Drift, damage, plan_under
from training.cohort_pupils import FIRST_YEAR, CohortPlan, simulate

__all__ = ["Batch", "CohortPlan", "PeriodPlan", "generate", "generate_period", "labels_of"]

FEATURES = (
    *(
        "fase",
        "fase_ideal",
        "idade",
        "anos_pm",
        "genero",
        "instituicao",
        "inde",
        "iaa",
        "ieg",
    ),
    *(
        "ips",
        "ipp",
        "ida",
        "ipv",
        "ian",
        "nota_mat",
        "nota_por",
        "nota_ing",
        "n_avaliacoes",
    ),
)
COLUMNS = ("aluno_id", "ano", *FEATURES, "em_risco")
LATEST_LABELLED = FIRST_YEAR + 1
MOST_ROWS = 200_000


@dataclass(frozen=True)
class PeriodPlan:
    """`rows` distinct pupils of one later year; ValueError where no such rows can be made."""

    period: int
    rows: int
    drift: Drift = "none"
    seed: int = CohortPlan.seed

    def __post_init__(self) -> None:
        if not LATEST_LABELLED < self.period <= 2099:
            raise ValueError(f"period must be {LATEST_LABELLED + 1} to 2099, got {self.period}")
        if not 1 <= self.rows <= MOST_ROWS:
            raise ValueError(f"rows must be 1 to {MOST_ROWS}, got {self.rows}")
        if self.drift not in DRIFTS:
            raise ValueError(f"drift must be one of {', '.join(DRIFTS)}, got {self.drift!r}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")


@dataclass(frozen=True)
class Batch:
    """Rows with em_risco still null, and what became known later, in the same order."""

    rows: pd.DataFrame
    labels: pd.DataFrame


def generate(plan: CohortPlan | None = None) -> pd.DataFrame:
    """Three years of pupils, one row per pupil and year, sorted by year and pupil: `COLUMNS`.

    em_risco (0, 1 or null) says whether the same pupil's row of the next year is behind its ideal
    phase; null where there is no such row. n_avaliacoes and em_risco are nullable integers.
    """
    return _published(simulate(plan or CohortPlan()), ids="A{:05d}")


def generate_period(plan: PeriodPlan) -> Batch:
    """Rows of one later year, made like the pupils of the latest labelled year, all with a label.

    Ids name year, drift and seed: no pupil is also in another batch or in the training cohort.
    "none" and "concept" give the same features for a seed; only the labels differ.
    """
    state = np.random.SeedSequence([plan.seed, plan.period]).generate_state(1)
    base = CohortPlan(seed=int(state[0]))
    times = -(-plan.rows // base.kept[1])
    n, kept = base.pupils, base.kept
    large = CohortPlan(
        seed=base.seed,
        pupils=(n[0] * times, n[1] * times, n[2] * times),
        kept=(kept[0] * times, kept[1] * times),
    )
    known = simulate(plan_under(plan.drift, large))
    known = known[(known["ano"] == LATEST_LABELLED) & known["em_risco"].notna()]
    rng = np.random.default_rng([plan.seed, plan.period])
    chosen = known.iloc[rng.permutation(len(known))[: plan.rows]]
    chosen = chosen.assign(ano=plan.period, pupil=np.arange(1, plan.rows + 1))
    if plan.drift == "bug":
        chosen = damage(rng, chosen)
    ids = f"A{plan.period % 100}{plan.drift[0]}{plan.seed}-{{:05d}}"
    rows = _published(chosen, ids=ids)
    unknown = pd.array([pd.NA] * len(rows), dtype="Int64")
    return Batch(rows=rows.assign(em_risco=unknown), labels=labels_of(rows))


def labels_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Of labelled rows: entity_id, period, label and observed_at (UTC, March of the next year)."""
    known = rows[rows["em_risco"].notna()]
    later = [f"{year + 1}-03-01T00:00:00Z" for year in known["ano"]]
    table = {"entity_id": known["aluno_id"], "period": known["ano"]}
    return pd.DataFrame({**table, "label": known["em_risco"], "observed_at": later})


def _published(simulated: pd.DataFrame, *, ids: str) -> pd.DataFrame:
    """Simulated pupils without what stays hidden about them, in the published types and order."""
    shown = simulated.assign(
        aluno_id=[ids.format(number) for number in simulated["pupil"]],
        idade=np.floor(simulated["age"]).astype(np.int64),
        n_avaliacoes=simulated["n_avaliacoes"].astype("Int64"),
        em_risco=simulated["em_risco"].astype("Int64"),
    )
    rows = shown[list(COLUMNS)]
    return rows.sort_values(["ano", "aluno_id"], kind="stable", ignore_index=True)


def as_instances(rows: pd.DataFrame) -> dict[str, list[dict[Hashable, object]]]:
    """A body for POST /predict: declared features, entity_id and period of each row, null kept."""
    beside = {"aluno_id": "entity_id", "ano": "period"}
    sent = rows[[*beside, *FEATURES]].rename(columns=beside).astype(object)
    return {"instances": sent.where(sent.notna(), None).to_dict(orient="records")}


def encode(rows: pd.DataFrame, suffix: str) -> bytes:
    """Rows as the bytes of a .csv or .parquet file, or of a .json body for POST /predict."""
    if suffix == ".csv":
        return rows.to_csv(index=False, lineterminator="\n").encode()
    if suffix == ".json":
        return (json.dumps(as_instances(rows), allow_nan=False) + "\n").encode()
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _parser() -> _Parser:
    parser = _Parser(prog="python -m training.cohort", allow_abbrev=False, description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help=".csv, .parquet or .json")
    parser.add_argument("--labels", type=Path, help=".csv or .parquet: labels of the same rows")
    parser.add_argument("--rows", type=int, help="pupils of one later year; goes with --period")
    parser.add_argument("--period", type=int, help="that year; without it, the whole cohort")
    parser.add_argument("--drift", choices=DRIFTS, help="what happens to that year (none)")
    parser.add_argument("--seed", type=int, default=CohortPlan.seed)
    return parser


def _usage_error(args: argparse.Namespace) -> str | None:
    if (args.rows is None) != (args.period is None):
        return "--rows and --period go together"
    if args.drift is not None and args.period is None:
        return "--drift needs --rows and --period"
    if args.output.suffix not in (".csv", ".parquet", ".json"):
        return f"--output must end in .csv, .parquet or .json, got {str(args.output)!r}"
    if args.labels is not None and args.labels.suffix not in (".csv", ".parquet"):
        return f"--labels must end in .csv or .parquet, got {str(args.labels)!r}"
    if args.labels == args.output:
        return "--labels and --output are the same file"
    return None


def _plan(args: argparse.Namespace) -> CohortPlan | PeriodPlan:
    if args.period is None:
        return CohortPlan(seed=args.seed)
    drift: Drift = args.drift or "none"
    return PeriodPlan(args.period, args.rows, drift=drift, seed=args.seed)


def _batch(plan: CohortPlan | PeriodPlan) -> Batch:
    if isinstance(plan, PeriodPlan):
        return generate_period(plan)
    rows = generate(plan)
    return Batch(rows=rows, labels=labels_of(rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the asked rows; 0 done, 1 a file cannot be written, 2 usage."""
    parser = _parser()
    args = parser.parse_args(argv)
    if problem := _usage_error(args):
        parser.error(problem)
    try:
        plan = _plan(args)
    except ValueError as refused:
        parser.error(str(refused))
    batch = _batch(plan)
    files = {args.output: batch.rows}
    if args.labels is not None:
        files[args.labels] = batch.labels
    for path, table in files.items():
        try:
            path.write_bytes(encode(table, path.suffix))
        except OSError as refused:
            print(f"{parser.prog}: error: cannot write {path}: {refused.strerror}", file=sys.stderr)
            return 1
    base_rate = f"base rate {float(batch.labels['label'].mean()):.3f}"
    written = " and ".join(str(path) for path in files)
    print(f"wrote {written}: {len(batch.rows)} rows, {base_rate} of {len(batch.labels)} labels")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
