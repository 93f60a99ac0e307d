"""A report's figures for Prometheus: a file for node_exporter, a push to a Pushgateway, or, of the
newest reports, a part of what the service itself exposes.

Series are bounded by the features of the contract. What is undefined has no series: an alert must
not take a missing recall for a recall of 0. Every series carries the report's kind, so that the
files of both reports can lie in one folder.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from prometheus_client import CollectorRegistry, Gauge, generate_latest, push_to_gateway

from monitoring.rendering.wording import Document
from registry.errors import RegistryError
from registry.state import replace_file

JOB = "datathon_reports"
_FAILING = "datathon_report_failing_timestamp_seconds"
_STATUSES = {"green": 0, "yellow": 1, "red": 2, "inconclusive": 3}
_CODES = "0 green, 1 yellow, 2 red, 3 inconclusive"
_SECONDS = 10
_DAY = 86_400


class PushError(RegistryError):
    """The Pushgateway did not take the metrics; the report itself is written."""


class _Families:
    """Gauges of documents, each with the labels that all of them have."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._labels: dict[str, str] = {}
        self._gauges: dict[str, Gauge] = {}

    def about(self, document: Document) -> None:
        """What is added from now on is this document's."""
        self._labels = {key: document[key] for key in ("kind", "model", "model_version")}

    def add(self, name: str, meaning: str, value: float | None, feature: str | None = None) -> None:
        if value is None:
            return
        labels = self._labels if feature is None else {**self._labels, "feature": feature}
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, meaning, list(labels), registry=self.registry)
        self._gauges[name].labels(**labels).set(value)

    def add_interval(self, name: str, meaning: str, metric: Document) -> None:
        """The value, and the ends of its 95 % interval as _low and _high."""
        self.add(name, meaning, metric["value"])
        self.add(f"{name}_low", f"{meaning}: low end of the 95 % interval", metric["low"])
        self.add(f"{name}_high", f"{meaning}: high end of the 95 % interval", metric["high"])


def textfile(document: Document, path: Path) -> None:
    """Write the document's metrics for node_exporter's textfile collector, all or nothing.

    Raises:
        OSError: the file cannot be written.
    """
    replace_file(path, text([document]))


def text(
    documents: Iterable[Document],
    labels_at: datetime | None = None,
    failing: Mapping[str, datetime] | None = None,
) -> bytes:
    """The series of several documents of different kinds, when labels were last imported, and of
    the kinds that cannot be made since when."""
    registry = _registry(documents)
    if failing:
        meaning = "Since when this kind of report cannot be made"
        gauge = Gauge(_FAILING, meaning, ["kind"], registry=registry)
        for kind, since in failing.items():
            gauge.labels(kind).set(since.timestamp())
    if labels_at is not None:
        name, meaning = "datathon_label_timestamp_seconds", "When labels were last imported"
        Gauge(name, meaning, registry=registry).set(labels_at.timestamp())
    return generate_latest(registry)


def push(document: Document, url: str) -> None:
    """Replace the metrics of this model and kind of report in a Pushgateway at `url`.

    Raises:
        PushError: it cannot be reached, or refuses them.
    """
    grouping = {"model": document["model"], "kind": document["kind"]}
    try:
        push_to_gateway(url, JOB, _registry([document]), grouping_key=grouping, timeout=_SECONDS)
    except HTTPError as error:
        said = error.read(200).decode(errors="replace").strip().replace("\n", " ")
        where = _named(url)
        raise PushError(f"Pushgateway {where} refused the metrics: {error.code} {said}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise PushError(
            f"Pushgateway {_named(url)} cannot be reached ({reason}); "
            "the report is written, push again"
        ) from error


def _named(url: str) -> str:
    """The URL without a name and password that may stand in it."""
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else rest.rpartition("@")[2]


def _registry(documents: Iterable[Document]) -> CollectorRegistry:
    families = _Families()
    for document in documents:
        families.about(document)
        _add(families, document)
    return families.registry


def _add(families: _Families, document: Document) -> None:
    made_at = datetime.fromisoformat(document["made_at"]).timestamp()
    families.add("datathon_report_timestamp_seconds", "When the report was made", made_at)
    families.add(
        "datathon_report_status", f"Status of the report: {_CODES}", _STATUSES[document["status"]]
    )
    if document["kind"] == "drift":
        _add_drift(families, document)
    else:
        _add_performance(families, document)
    families.add("datathon_recall_floor", "What recall must reach", document["recall_floor"])
    if document["estimate"] is not None:
        recall = document["estimate"]["metrics"]["recall"]
        families.add_interval(
            "datathon_estimated_recall", "Recall estimated without labels (CBPE)", recall
        )


def _add_drift(families: _Families, document: Document) -> None:
    families.add("datathon_drift_rows", "Predictions in the window", document["rows"])
    families.add("datathon_drift_entities", "Entities in the window", document["entities"])
    for drift in (document["score"], *document["features"]):
        name, status = drift["name"], _STATUSES[drift["status"]]
        families.add(
            "datathon_drift_psi", "PSI of a feature or the score, window to reference",
            drift["psi"], name,
        )  # fmt: skip
        families.add(
            "datathon_drift_status", f"Status of a feature or the score: {_CODES}", status, name
        )


def _add_performance(families: _Families, document: Document) -> None:
    labels = document["labels"]
    families.add_interval(
        "datathon_recall", "Recall on labelled predictions", document["metrics"]["recall"]
    )
    families.add(
        "datathon_label_coverage", "Share of due predictions with a label", labels["coverage"]
    )
    families.add("datathon_labelled_rows", "Predictions with a label", labels["labelled"])
    families.add(
        "datathon_label_overdue_seconds", "How long after an import the next one is overdue",
        labels["overdue_days"] * _DAY,
    )  # fmt: skip
