"""The tables of a report, the same figures in the terminal and in HTML."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.rendering.findings import finding
from monitoring.rendering.wording import Document, Wording, figure, percent, span, worst_first

MOST_WORST = 5
MOST_SEGMENTS = 20
MOST_STEPS = 60  # of a trend: more cannot be told apart
_CHECK_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_UNBOUNDED = ("brier", "ece")  # less is better, and small: two digits would hide a change


@dataclass(frozen=True)
class Table:
    """Texts in columns; `statuses`, where given, are the colours of the second column, which stands
    so far to the left that a narrow screen shows it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    statuses: tuple[str, ...] = ()


def features(document: Document, words: Wording) -> Table:
    """The score, then the features, worst first."""
    ranked = [document["score"], *worst_first(document["features"])]
    keys = ("feature", "status", "psi", "noise", "q", "missing", "unseen")
    return Table(
        _columns(words, keys),
        tuple(_feature_cells(drift, words) for drift in ranked),
        tuple(drift["status"] for drift in ranked),
    )


def days(document: Document, names: Sequence[str], words: Wording) -> Table:
    """PSI by day of the features named."""
    rows = (
        (
            day["day"],
            words.status(day["status"]),
            str(day["rows"]),
            str(day["entities"]),
            *(figure(day["psi"][name]) for name in names),
        )
        for day in document["days"]
    )
    columns = (*_columns(words, ("day", "status", "rows", "entities")), *names)
    return Table(columns, tuple(rows), tuple(day["status"] for day in document["days"]))


def days_a_step(document: Document, most: int = MOST_STEPS) -> int:
    """Days that go together, so that a trend has `most` steps at most."""
    return math.ceil(len(document["days"]) / most)


def trend(document: Document, name: str, most: int = MOST_STEPS) -> list[Document]:
    """Day, PSI, noise and status of a feature for each step: those of its worst day."""
    days, size = document["days"], days_a_step(document, most)
    steps = []
    for start in range(0, len(days), size):
        known = [
            {
                "day": day["day"],
                "psi": day["psi"][name],
                "noise": day["noise"][name],
                "status": day["statuses"][name],
            }
            for day in days[start : start + size]
        ]
        steps.append(worst_first(known)[0])
    return steps


def bins(feature: Document, words: Wording) -> Table:
    """Rows and their share in each bin, in the reference and in the window."""
    before = max(sum(item["before"] for item in feature["bins"]), 1)
    now = max(sum(item["now"] for item in feature["bins"]), 1)
    rows = (
        (
            item["label"],
            f"{item['before']} ({percent(item['before'] / before)})",
            f"{item['now']} ({percent(item['now'] / now)})",
        )
        for item in feature["bins"]
    )
    return Table(_columns(words, ("bin", "reference", "window")), tuple(rows))


def estimates(
    metrics: Document, training: Document, errors: Document | None, words: Wording
) -> Table:
    """Metrics with intervals next to training; with `errors`, how far the estimate was."""
    rows = []
    for name, metric in metrics.items():
        digits = 3 if name in _UNBOUNDED else 2
        then = training.get(name, {}).get("value")
        cells = [words(f"metric.{name}"), figure(metric["value"], digits)]
        cells += [figure(then, digits), span(metric, digits)]
        if errors is not None:
            cells.append(f"{errors[name]:+.3f}" if errors.get(name) is not None else "–")
        rows.append(tuple(cells))
    keys = ("metric", "value", "training", "interval") + ("error",) * (errors is not None)
    return Table(_columns(words, keys), tuple(rows))


def weeks(document: Document, words: Wording) -> Table:
    rows = (
        (
            week["start"],
            *(str(week[key]) for key in ("rows", "labelled", "positives")),
            figure(week["recall"]["value"]),
            span(week["recall"]),
            figure(week["precision"]["value"]),
        )
        for week in document["weeks"]
    )
    keys = ("week", "rows", "labelled", "positives", "recall", "interval", "precision")
    return Table(_columns(words, keys), tuple(rows))


def segments(document: Document, words: Wording) -> Table:
    """The worst of them, `ranked_segments`; what is worse than the rest is marked in words."""
    ranked = ranked_segments(document)
    rows = (
        (
            f"{item['feature']} = {item['level']}",
            words("mark.worse" if item["worse"] else "mark.same"),
            figure(item["recall"]["value"]),
            figure(item["rest_recall"]),
            span(item["recall"]),
            "–" if item["q"] is None else f"{item['q']:.3g}",
            str(item["rows"]),
            str(item["positives"]),
        )
        for item in ranked
    )
    keys = ("segment", "status", "recall", "rest", "interval", "q", "rows", "positives")
    colours = ("yellow" if item["worse"] else "green" for item in ranked)
    return Table(_columns(words, keys), tuple(rows), tuple(colours))


def ranked_segments(document: Document) -> list[Document]:
    """Twenty at most: what is worse than the rest first, then by recall, the undefined last."""

    def rank(segment: Document) -> tuple[bool, bool, float]:
        recall = segment["recall"]["value"]
        return not segment["worse"], recall is None, recall or 0.0

    return sorted(document["segments"], key=rank)[:MOST_SEGMENTS]


def reliability(document: Document, words: Wording) -> Table:
    rows = (
        (figure(at["score"]), figure(at["observed"]), span(at), str(at["rows"]))
        for at in document["reliability"]
    )
    return Table(_columns(words, ("score", "observed", "interval", "rows")), tuple(rows))


def label_checks(document: Document, words: Wording) -> Table:
    labels = document["labels"]
    rows = (
        (
            words(f"check.{check['name']}"),
            words(f"check_status.{check['status']}"),
            finding(check, labels, words),
        )
        for check in labels["checks"]
    )
    colours = (_CHECK_COLOURS[check["status"]] for check in labels["checks"])
    return Table(_columns(words, ("check", "status", "finding")), tuple(rows), tuple(colours))


def worst(document: Document) -> list[Document]:
    """The score and the five worst features: what a report shows in detail."""
    return [document["score"], *worst_first(document["features"])[:MOST_WORST]]


def _columns(words: Wording, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(words(f"col.{key}") for key in keys)


def _feature_cells(drift: Document, words: Wording) -> tuple[str, ...]:
    unseen = drift["unseen_now"]
    return (
        drift["name"],
        words.status(drift["status"]),
        figure(drift["psi"], 3),
        figure(drift["noise"], 3),
        f"{drift['q']:.3g}",
        f"{percent(drift['null_before'])} → {percent(drift['null_now'])}",
        "" if unseen is None else percent(unseen),
    )
