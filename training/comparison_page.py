"""A comparison as one HTML file that needs no network and no script, with both models' curves.

The two are told apart by dash and mark as well as by colour, so that print and colour-blind eyes do
too. All text is escaped.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from monitoring.rendering import html_report
from monitoring.rendering.charts import QUARTERS, axis, levels, path
from monitoring.rendering.printable import printable, printable_text
from monitoring.rendering.svg import Scale, diamond, drawing, line, tag
from training import comparison_tables, comparison_wording
from training.comparison_wording import Document

_COLOURS = {"yes": "green", "first": "green", "no": "yellow"}
_ACROSS, _UP = Scale(0, 1, 40, 340), Scale(0, 1, 310, 10)
_HEIGHT = 328


def render(document: Document) -> str:
    """The page of a comparison."""
    command = comparison_wording.command(document)
    document = printable(document)
    models = [(who, model) for who, model in document["models"].items() if model is not None]
    return (
        html_report.environment(Path(__file__).parent / "templates")
        .get_template("comparison.html.j2")
        .render(
            document=document,
            title=comparison_wording.title(document),
            rows=comparison_wording.rows(document),
            answer=comparison_wording.ANSWERS[document["answer"]],
            colour=_COLOURS.get(document["answer"], "inconclusive"),
            sentences=comparison_wording.sentences(document),
            command=command and printable_text(command),
            sources=comparison_wording.sources(document),
            models=[(who, model["version"], _legend(who)) for who, model in models],
            gains=comparison_tables.gains(document),
            guardrails=comparison_tables.guardrails(document),
            calibrations=[
                (model["version"], comparison_tables.calibration(model)) for _, model in models
            ],
            precision_recall=_precision_recall(models),
            reliability=_reliability(models),
        )
    )


def _precision_recall(models: Sequence[tuple[str, Document]]) -> Markup:
    """Precision against recall, each version's own threshold marked."""
    parts: list[Markup] = []
    for who, model in models:
        points = [
            (_ACROSS.at(recall), _UP.at(share)) for recall, share in model["precision_recall"]
        ]
        parts.append(path(points, f"line {who}"))
        recall, share = (model["metrics"][name]["value"] for name in ("recall", "precision"))
        if recall is not None and share is not None:
            parts.append(_mark(who, _ACROSS.at(recall), _UP.at(share)))
    return drawing(_ground(), *parts, height=_HEIGHT, title="precision against recall")


def _reliability(models: Sequence[tuple[str, Document]]) -> Markup:
    """The share that came true against the mean score; the diagonal is a calibrated score."""
    diagonal = line(_ACROSS.at(0), _UP.at(0), _ACROSS.at(1), _UP.at(1), "line noise")
    parts = [part for who, model in models for part in _calibration(who, model["calibration"])]
    return drawing(_ground(), diagonal, *parts, height=_HEIGHT, title="calibration")


def _calibration(who: str, bins: Sequence[Document]) -> Iterator[Markup]:
    places = [(_ACROSS.at(at["score"]), _UP.at(at["observed"]["value"])) for at in bins]
    for (x, _), at in zip(places, bins, strict=True):
        low, high = (_UP.at(at["observed"][end]) for end in ("low", "high"))
        yield line(x, low, x, high, f"whisker {who}")
    yield path(places, f"line {who}")
    yield from (_mark(who, x, y) for x, y in places)


def _ground() -> Markup:
    return axis(_ACROSS, QUARTERS, _UP.at(1), _UP.at(0)) + levels(
        _UP, QUARTERS, _ACROSS.at(0), _ACROSS.at(1)
    )


def _mark(who: str, x: float, y: float) -> Markup:
    if who == "champion":
        return diamond(x, y, 5, "then champion")
    return tag("circle", cx=x, cy=y, r=4, class_="dot")


def _legend(who: str) -> Markup:
    """How a model is drawn."""
    parts: list[Any] = [line(2, 7, 34, 7, f"line {who}"), _mark(who, 18, 7)]
    return tag("svg", *parts, class_="chart legend", viewBox="0 0 36 14", aria_hidden="true")
