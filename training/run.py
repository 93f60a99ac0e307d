"""One training run from rows to artefacts, told on the terminal."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from training.fit import Progress, Trained, train
from training.model_card import compared, show


def run(data: Path | None, output: Path, configuration: Configuration, console: Console) -> Trained:
    """Read, check, train and write.

    Raises:
        TrainingError, RegistryError: nothing is written then.
    """
    artifacts.refuse_foreign(output)
    with telling(console, "read the rows") as progress:
        table, source = _bundled(configuration) if data is None else file_rows(data)
        dataset = check(table, configuration)
        tell(dataset, len(table), console)
        return make(dataset, source, configuration, output, progress)


def make(
    dataset: Dataset,
    source: Mapping[str, Any],
    configuration: Configuration,
    output: Path,
    progress: Progress,
) -> Trained:
    """Train on rows that keep the contract and write the artefacts; `source` says where they are
    from.

    Raises:
        TrainingError: nothing is written then.
    """
    refuse_leakage(dataset, configuration.schema, configuration.training.leakage_auc)
    trained = train(dataset, configuration, progress)
    progress("write the artefacts")
    artifacts.write(trained, configuration, source, output)
    return trained


@contextmanager
def telling(console: Console, first: str) -> Iterator[Progress]:
    """A spinner that says what is done, from `first` on, and leaves a dim line for each step."""
    with console.status(first) as status:

        def progress(step: str) -> None:
            status.update(step)
            console.print(f"  {step}", style="dim")

        yield progress


def file_rows(data: Path) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """The table of a file, and what provenance says of it.

    Raises:
        TrainingError: it cannot be read.
    """
    content = read_bytes(data)
    table = parse_table(data, content)
    return table, source_of(data.name, content, len(table))


def source_of(name: str, content: bytes, rows: int) -> dict[str, Any]:
    """What provenance says of rows."""
    return {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "rows": rows}


def tell(dataset: Dataset, rows: int, console: Console) -> None:
    """How many of the rows there are, and what is odd about them."""
    console.print(
        f"{rows} rows keep the contract; {dataset.rows} have a label, "
        f"{dataset.unlabelled} have none yet and are left out"
    )
    for name, count in dataset.unusual.items():
        console.print(f"  note: {count} value(s) of {name} outside the usual range or levels")


def _bundled(configuration: Configuration) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    table = cohort.generate(cohort.CohortPlan())
    model, names = configuration.model, configuration.schema.names
    if not {model.target, *names} <= set(table.columns):
        raise TrainingError(
            f"there is no bundled data for {model.name}: train it with --data FILE, then "
            "register and promote it"
        )
    return table, source_of("bundled cohort", table.to_csv(index=False).encode(), len(table))


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
