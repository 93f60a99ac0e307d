"""The model card, written from the run and from nothing else."""

from collections.abc import Sequence

from monitoring.performance.evaluation import METRICS, Estimate, Evaluation
from registry.configuration import Configuration
from training.fit import Trained

_TITLES = {
    "recall": "recall",
    "precision": "precision",
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
}


def write(trained: Trained, configuration: Configuration) -> str:
    """Markdown: what is predicted, from what, how it was made, how good it is, what it is not."""
    model, settings = configuration.model, configuration.training
    who = f", grouped by `{model.entity_column}`" if model.entity_column else ""
    rule = (
        f"the best precision among thresholds with out-of-fold recall of at least "
        f"{settings.target_recall:g}"
        if settings.threshold_rule == "recall"
        else f"the threshold that flags {settings.capacity_share:.0%} of the rows"
    )
    parts = [
        f"# Model card: {model.name}",
        f"Scores the risk that `{model.target}` is 1. Algorithm: {trained.chosen}, chosen by "
        f"out-of-fold average precision, then {settings.calibration} calibration.",
        "## How it was made",
        f"- Protocol: {trained.protocol}. {_protocol(trained, model.time_column)}",
        f"- Cross-validation: {settings.folds} folds, {settings.repeats} repeat(s), stratified{who}"
        f"; seed {settings.seed}.",
        f"- Threshold {trained.threshold:.6f}: {rule}.",
        "## Candidates",
        table(
            ("candidate", "out-of-fold average precision"),
            [
                (
                    result.name + (" (chosen)" if result.name == trained.chosen else ""),
                    f"{result.mean:.4f}",
                )
                for result in trained.candidates
            ],
        ),
        f"## How good it is, on {trained.evaluated.rows} rows that it was not fitted on",
        _comparison(trained),
        f"Intervals are 95 %, from {settings.bootstrap_resamples} resamples by entity. Flagging "
        "everyone has recall 1.00 and a precision equal to the base rate: a model that comes close "
        "to that column has learnt nothing.",
        "![calibration](calibration.png)\n![precision and recall](precision_recall.png)",
        "## Features",
        table(
            ("feature", "type", "expected", "meaning"),
            [(f.name, f.type, f.expected, f.meaning) for f in configuration.schema.features],
        ),
    ]
    if configuration.schema.derived:
        derived = [(name, f"`{text}`") for name, text in configuration.schema.derived]
        parts += ["Derived inside the pipeline:", table(("column", "is"), derived)]
    parts += [
        "## Limits",
        "A score is a probability under the population and the relation of the rows above; when "
        "either changes, the drift and performance reports say so. It ranks who needs attention "
        "first and does not say why, nor what would help.",
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def show(estimate: Estimate) -> str:
    """`0.812 (0.780–0.843)`, or `undefined`."""
    if estimate.value is None:
        return "undefined"
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


def compared(trained: Trained) -> list[tuple[str, Evaluation]]:
    """What stands side by side in every account of a version."""
    return [
        (trained.chosen, trained.evaluation),
        ("flag everyone", trained.flag_everyone),
        (str(trained.rule), trained.rule_evaluation),
    ]


def _comparison(trained: Trained) -> str:
    columns = compared(trained)
    rows = [
        (_TITLES[name], *(show(evaluation.metrics[name]) for _, evaluation in columns))
        for name in METRICS
    ]
    rows.append(("rows flagged", *(f"{e.flagged} of {e.rows}" for _, e in columns)))
    return table(("", *(name for name, _ in columns)), rows)


def _protocol(trained: Trained, time_column: str | None) -> str:
    if trained.protocol == "cross-validation":
        return (
            "One period only: out-of-fold scores evaluate, the shipped model is fitted on all rows."
        )
    fitted, latest = trained.fitted.periods, trained.evaluated.periods
    assert fitted is not None
    assert latest is not None
    earlier = ", ".join(str(period) for period in sorted(set(fitted.tolist())))
    return (
        f"Fitted on {trained.fitted.rows} rows of `{time_column}` {earlier}; evaluated on "
        f"{latest[0]}, which came later."
    )
