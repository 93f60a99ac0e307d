"""The tables of a comparison, the same figures in the terminal and in HTML."""

from monitoring.rendering.tables import Table
from monitoring.rendering.wording import figure, span
from registry.verdict import Check, points
from training.comparison_wording import Document, between, signed

TITLES = {
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "recall": "recall",
    "precision": "precision",
    "brier": "Brier score",
    "recall_equal_flags": "recall, as many flags",
}
_COLOURS = {"pass": "green", "fail": "red", "undecided": "inconclusive"}


def gains(document: Document) -> Table:
    """Both models and their difference, metric by metric."""
    champion, challenger = (document["models"][who] for who in ("champion", "challenger"))
    if champion is None:
        return _alone(challenger)
    rows = []
    for name, difference in document["gain"]["differences"].items():
        values = [
            _digits(model["metrics"][name]["value"]) if name in model["metrics"] else ""
            for model in (champion, challenger)
        ]
        rows.append((TITLES[name], *values, signed(difference["value"]), between(difference)))
    flagged = [str(model["flagged"]) for model in (champion, challenger)]
    columns = ("metric", champion["version"], challenger["version"], "gain", "95% CI")
    return Table(columns, (*rows, ("flagged", *flagged, "", "")))


def guardrails(document: Document) -> Table:
    """Each check in words, with its status as a colour."""
    checks = [Check.from_dict(check) for check in document["verdict"]["checks"]]
    rows = tuple(
        (check.name.replace("_", " "), check.status, _without_status(check)) for check in checks
    )
    return Table(
        ("guardrail", "status", "finding"), rows, tuple(_COLOURS[c.status] for c in checks)
    )


def calibration(model: Document) -> Table:
    """The points of a model's calibration curve."""
    rows = (
        (
            figure(at["score"]),
            figure(at["observed"]["value"]),
            span(at["observed"]),
            str(at["rows"]),
        )
        for at in model["calibration"]
    )
    return Table(("mean score", "came true", "95% CI", "rows"), tuple(rows))


def _alone(challenger: Document) -> Table:
    metrics = challenger["metrics"]
    rows = [
        (TITLES[name], _digits(metrics[name]["value"]), span(metrics[name], 3))
        for name in TITLES
        if name in metrics
    ]
    columns = ("metric", challenger["version"], "95% CI")
    return Table(columns, (*rows, ("flagged", str(challenger["flagged"]), "")))


def _without_status(check: Check) -> str:
    return points(check).replace(f": {check.status}", "", 1)


def _digits(value: float | None) -> str:
    return figure(value, 3)
