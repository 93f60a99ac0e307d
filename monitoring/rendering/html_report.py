"""A report as one HTML file that needs no network and no script: the verdict and the next step,
then causes, plots and tables.

Everything in the document is escaped: names, levels and request ids are other people's text, and
their control characters are shown as escapes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from monitoring.rendering import charts, next_steps, svg
from monitoring.rendering import tables as report_tables
from monitoring.rendering.charts import Bin, Interval, Psi
from monitoring.rendering.printable import printable, printable_text
from monitoring.rendering.wording import Document, Wording, figure, stamp, worst_first

_HTML_LANGS = {"en": "en", "pt": "pt-BR"}


def render(document: Document, lang: str) -> str:
    """The page of a drift or performance document (docs/reports.md), in `en` or `pt`."""
    words, commands = Wording(lang), next_steps.commands(document)
    document = printable(document)
    sections = _drift if document["kind"] == "drift" else _performance
    return (
        environment()
        .get_template(f"{document['kind']}.html.j2")
        .render(
            document=document,
            html_lang=_HTML_LANGS[lang],
            w=words,
            title=words.title(document),
            rows=words.rows(document),
            next_step=next_steps.sentence(document, words),
            commands=[printable_text(command) for command in commands],
            entity_note=words.entity_note(document),
            estimate=_estimate(document, words),
            **sections(document, words),
        )
    )


def environment(*folders: Path) -> Environment:
    """What pages are made with: templates of the folders and of this package; all is escaped."""
    found = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"icon": _icon, "stamp": stamp}
    return found


def _icon(status: str) -> Markup:
    shape = svg.mark(status, 0, 0)
    return svg.tag("svg", shape, viewBox="-5 -5 10 10", aria_hidden="true", class_=status)


def _drift(document: Document, words: Wording) -> dict[str, Any]:
    limits, shown = document["limits"], report_tables.worst(document)
    everything = [document["score"], *worst_first(document["features"])]
    names = [item["name"] for item in shown]
    return {
        "psi_chart": charts.psi_bars(
            [Psi(d["name"], d["psi"], d["noise"], d["status"]) for d in everything],
            yellow=limits["yellow"],
            red=limits["red"],
            title=words("h.features"),
        ),
        "features": report_tables.features(document, words),
        "unclear": [d["name"] for d in everything if d["status"] == "inconclusive"],
        "histograms": [_histogram(item, words) for item in shown],
        "trends": _trends(document, names, words) if len(document["days"]) > 1 else [],
        "days_a_step": report_tables.days_a_step(document),
        "days": report_tables.days(document, names, words),
    }


def _histogram(feature: Document, words: Wording) -> dict[str, Any]:
    bins = [Bin(item["label"], item["before"], item["now"]) for item in feature["bins"]]
    return {
        "name": feature["name"],
        "status": feature["status"],
        "chart": charts.histogram(bins, title=f"{words('h.histograms')}: {feature['name']}"),
        "table": report_tables.bins(feature, words),
    }


def _trends(document: Document, names: Sequence[str], words: Wording) -> list[dict[str, Any]]:
    days = document["days"]
    most = max(day["psi"][name] for day in days for name in names)
    trends = []
    for name in names:
        points = [
            Psi(step["day"], step["psi"], step["noise"], step["status"])
            for step in report_tables.trend(document, name)
        ]
        title = f"{words('h.trend')}: {name}"
        trends.append({"name": name, "chart": charts.psi_by_day(points, most=most, title=title)})
    return trends


def _performance(document: Document, words: Wording) -> dict[str, Any]:
    metrics, training = document["metrics"], document["training"]
    floor = document["recall_floor"]
    then = training.get("recall", {}).get("value")
    segments = report_tables.ranked_segments(document)
    weeks = [_interval(week["start"], week["recall"]) for week in document["weeks"]]
    curve = [
        (at["score"], Interval(f"{at['score']:.2f}", at["observed"], at["low"], at["high"]))
        for at in document["reliability"]
    ]
    marks = [_interval(f"{s['feature']} = {s['level']}", s["recall"]) for s in segments]
    return {
        "floor_mark": words("mark.floor", value=figure(floor)),
        "training_mark": words("mark.training", value=figure(then)) if then is not None else "",
        "metric_chart": charts.forest(_metrics(metrics, training, words), title=words("h.metrics")),
        "metrics": report_tables.estimates(metrics, training, None, words),
        "week_chart": weeks
        and charts.over_time(weeks, floor=floor, training=then, title=words("h.weeks")),
        "weeks": report_tables.weeks(document, words),
        "checks": report_tables.label_checks(document, words),
        "reliability_chart": charts.reliability(curve, title=words("h.reliability")),
        "reliability": report_tables.reliability(document, words),
        "segment_chart": charts.forest(marks, floor=floor, title=words("h.segments")),
        "segments": report_tables.segments(document, words),
        "more_segments": len(document["segments"]) - len(segments),
    }


def _estimate(document: Document, words: Wording) -> dict[str, Any] | None:
    estimate = document["estimate"]
    if estimate is None:
        return None
    metrics, training = estimate["metrics"], estimate["training"]
    return {
        "note": words.estimate_note(estimate),
        "chart": charts.forest(_metrics(metrics, training, words), title=words("h.estimate")),
        "table": report_tables.estimates(metrics, training, document.get("estimate_error"), words),
    }


def _metrics(metrics: Document, training: Document, words: Wording) -> list[Interval]:
    return [
        _interval(words(f"metric.{name}"), metric, training.get(name, {}).get("value"))
        for name, metric in metrics.items()
    ]


def _interval(label: str, metric: Document, training: float | None = None) -> Interval:
    return Interval(label, metric["value"], metric["low"], metric["high"], training)
