"""An evaluation by period on a terminal of 100 columns: the metrics, then each feature's PSI."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.drift.comparison import FeatureDrift, Status
from monitoring.performance.evaluation import Estimate

if TYPE_CHECKING:
    from training.evaluate import Slice

_SHOWN = ("recall", "precision", "roc_auc", "pr_auc", "brier")
_TITLES = ("recall", "precision", "ROC-AUC", "PR-AUC", "Brier")
_COLOURS: dict[Status, str] = {
    "green": "green",
    "yellow": "yellow",
    "red": "red",
    "inconclusive": "magenta",
}
# Beside the colour, for a file and for eyes that do not tell red from green.
_MARKS: dict[Status, str] = {"green": " ", "yellow": "y", "red": "R", "inconclusive": "?"}
_PERIODS_A_TABLE = 9


def show(name: str, time_column: str | None, slices: "Sequence[Slice]", console: Console) -> None:
    """Print both tables; `slices` as `training.evaluate.run` gives them."""
    console.print(_metrics(name, time_column, slices))
    for first in range(0, len(slices), _PERIODS_A_TABLE):
        console.print(_psi(name, slices[first : first + _PERIODS_A_TABLE]))


def _metrics(name: str, time_column: str | None, slices: "Sequence[Slice]") -> Table:
    table = Table(
        title=f"{name} on rows with a label, with 95 % intervals",
        caption="Flagging everyone has recall 1 and the base rate as its precision.",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    table.add_column(time_column or "", overflow="fold")
    for title in ("rows", "base rate", "flagged", *_TITLES):
        table.add_column(title, justify="right", overflow="fold")
    for part in slices:
        evaluation, everyone = part.evaluation, part.flag_everyone
        if evaluation is None or everyone is None:
            table.add_row(_name(part), "0")
            continue
        table.add_row(
            _name(part),
            str(evaluation.rows),
            _cell(everyone.metrics["precision"]),
            f"{evaluation.flagged}\n{evaluation.flagged / evaluation.rows:.1%}",
            *(_cell(evaluation.metrics[metric]) for metric in _SHOWN),
        )
    return table


def _psi(name: str, slices: "Sequence[Slice]") -> Table:
    table = Table(
        title=f"PSI against the reference of {name}",
        caption="y yellow, R red, ? inconclusive; nothing: green",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("feature", overflow="fold")
    for part in slices:
        table.add_column(_name(part), justify="right", overflow="fold")
    table.add_row("rows", *(str(part.rows) for part in slices))
    table.add_row("score", *(_coloured(part.drift.score) for part in slices))
    for drifts in zip(*(part.drift.features for part in slices), strict=True):
        table.add_row(drifts[0].name, *(_coloured(drift) for drift in drifts))
    return table


def _name(part: "Slice") -> str:
    return "all" if part.period is None else str(part.period)


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    return f"{estimate.value:.3f}\n{estimate.low:.3f}–{estimate.high:.3f}"


def _coloured(drift: FeatureDrift) -> Text:
    return Text(f"{drift.psi:.2f} {_MARKS[drift.status]}", style=_COLOURS[drift.status])
