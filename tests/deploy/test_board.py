"""The board and the rules ask only for what /metrics exposes, and Prometheus can read it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

import monitoring.metrics  # noqa: F401  (declares the families that only an incident brings)
from monitoring.watching import rules
from registry.state import PROJECT
from tests.deploy import tools
from tests.server import Server, command
from tests.service.rows import cohort_rows

pytestmark = pytest.mark.incident

GRAFANA = PROJECT / "deploy" / "grafana"
BOARD = json.loads((GRAFANA / "board.json").read_text(encoding="utf-8"))
ROWS = [
    "SLO & traffic", "Latency", "Batches", "Errors", "Model & workers", "Drift", "Recall & labels",
    "Log & disk",
]  # fmt: skip
_GRAFANA_TIMES = {"$__rate_interval": "5m", "$__interval": "15s", "$__range": "6h"}
# Series of the background reports where labels are in; their names are the reports' documentation.
_DOCUMENTED = re.compile(r"`(datathon_\w+)(?:\{\w+\})?`")


def queries() -> list[str]:
    """Every query of the board, with Grafana's variables filled in."""
    found = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])]
    found += [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    for name, value in _GRAFANA_TIMES.items():
        found = [query.replace(name, value) for query in found]
    return found


def asked(expressions: list[str]) -> set[str]:
    """The names of our metrics in them; label values and recorded names are none."""
    bare = [re.sub(r'"[^"]*"', '""', expression) for expression in expressions]
    return {name for text in bare for name in re.findall(r"\bdatathon_\w+", text)}


def test_every_row_is_there_and_has_panels() -> None:
    kinds = [(panel["type"], panel["title"]) for panel in BOARD["panels"]]
    assert [title for kind, title in kinds if kind == "row"] == ROWS
    after = [*[kind for kind, _ in kinds][1:], "row"]
    assert ("row", "row") not in [
        (kind, then) for (kind, _), then in zip(kinds, after, strict=True)
    ]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["description"] for panel in BOARD["panels"] if panel["type"] != "row")


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    recorded = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(queries())]
    path = tmp_path / "queries.yml"
    content = {"groups": [{"name": "board", "rules": recorded}]}
    path.write_text(tools.as_yaml(content), encoding="utf-8")
    assert f"SUCCESS: {len(recorded)} rules" in tools.run("promtool", "check", "rules", path)


def test_recorded_series_are_recorded() -> None:
    recorded = {rule["record"] for rule in rules.each(rules.read()) if "record" in rule}
    every = queries() + [rule["expr"] for rule in rules.alerts(rules.read())]
    assert {name for text in every for name in re.findall(r"datathon:[\w:]+", text)} == recorded


@pytest.mark.parametrize("folder", ["datasources", "dashboards"])
def test_provisioning_is_read(folder: str) -> None:
    (path,) = (GRAFANA / "provisioning" / folder).glob("*.yml")
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["apiVersion"] == 1


def test_nothing_is_asked_for_that_is_not_exposed(home: Path) -> None:
    with Server(home) as server:
        assert server.predict(cohort_rows(60)).status_code == 200
        assert server.predict([{}]).status_code == 400
        command(home, "monitoring.refresh")
        known = set(sample_names(server.client.get("/metrics").text))
    assert "datathon_drift_status" in known
    declared = {sample for family in REGISTRY.collect() for sample in _samples(family)}
    documented = set(_DOCUMENTED.findall((PROJECT / "docs" / "reports.md").read_text("utf-8")))
    interval = {f"{name}_{end}" for name in documented for end in ("low", "high")}
    # Of a report that cannot be made, and where labels are in.
    rare = {"datathon_report_failing_timestamp_seconds", "datathon_label_timestamp_seconds"}
    known |= declared | documented | interval | rare
    wanted = asked(queries() + [rule["expr"] for rule in rules.each(rules.read())])
    assert len(wanted) > 30
    assert wanted <= known


def sample_names(text: str) -> Iterator[str]:
    return (sample.name for one in text_string_to_metric_families(text) for sample in one.samples)


def _samples(family: Any) -> set[str]:
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return {family.name + end for end in ends.get(family.type, [""])}
