"""One training run from rows to artefacts, told on the terminal."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from monitoring.performance.evaluation import METRICS
from registry import store
from registry.configuration import Configuration
from registry.state import State
from training import artifacts, cohort
from training.baselines import refuse_leakage
from training.data import Dataset, check, parse_table, read_bytes
from training.errors import TrainingError
from training.fit import Trained, train
from training.model_card import compared, show


def run(data: Path | None, output: Path, configuration: Configuration, console: Console) -> Trained:
    """Read, check, train and write.

    Raises:
        TrainingError, RegistryError: nothing is written then.
    """
    artifacts.refuse_foreign(output)
    with console.status("read the rows") as status:
        table, source = _rows(data, configuration)
        dataset = check(table, configuration)
        _tell(dataset, len(table), console)
        refuse_leakage(dataset, configuration.schema, configuration.training.leakage_auc)

        def progress(step: str) -> None:
            status.update(step)
            console.print(f"  {step}", style="dim")

        trained = train(dataset, configuration, progress)
        progress("write the artefacts")
        artifacts.write(trained, configuration, source, output)
    return trained


def _rows(
    data: Path | None, configuration: Configuration
) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    if data is None:
        table = cohort.generate(cohort.CohortPlan())
        model, names = configuration.model, configuration.schema.names
        if not {model.target, *names} <= set(table.columns):
            raise TrainingError(
                f"there is no bundled data for {model.name}: train it with --data FILE, then "
                "register and promote it"
            )
        name, content = "bundled cohort", table.to_csv(index=False).encode()
    else:
        name, content = data.name, read_bytes(data)
        table = parse_table(data, content)
    return table, {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "rows": len(table)}


def _tell(dataset: Dataset, rows: int, console: Console) -> None:
    console.print(
        f"{rows} rows keep the contract; {dataset.rows} have a label, "
        f"{dataset.unlabelled} have none yet and are left out"
    )
    for name, count in dataset.unusual.items():
        console.print(f"  note: {count} value(s) of {name} outside the usual range or levels")


def report(trained: Trained, output: Path, console: Console) -> None:
    """What came out, and the next command."""
    table = Table(title=f"{trained.evaluated.rows} rows that evaluate ({trained.protocol})")
    table.add_column("", overflow="fold")
    columns = compared(trained)
    for name, _ in columns:
        table.add_column(name, justify="right", overflow="fold")
    for metric in METRICS:
        table.add_row(metric, *(show(evaluation.metrics[metric]) for _, evaluation in columns))
    table.add_row("flagged", *(f"{e.flagged} of {e.rows}" for _, e in columns))
    console.print(table)
    console.print(f"threshold {trained.threshold:.4f}, artefacts in {output}/", soft_wrap=True)
    version = store.next_version(State.from_environment())
    command = f"python -m registry register --version {version} --artifacts {output}"
    console.print(f"next: {command}", soft_wrap=True)
