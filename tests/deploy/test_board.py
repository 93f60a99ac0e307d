"""The board and the rules ask only for what a real service exposes, by names, labels and values: a
real Prometheus answers every query of the board."""

import csv
import json
import re
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from monitoring.drills import versions
from monitoring.rendering import exposition
from monitoring.watching import rules
from monitoring.watching.ports import free_port
from monitoring.watching.prometheus import Prometheus, Sample
from monitoring.watching.stack import DRILL
from registry.state import PROJECT
from tests.deploy import tools
from tests.deploy.selectors import Labels, unknown
from tests.server import Server, command, configured
from tests.service.rows import cohort_rows

pytestmark = pytest.mark.incident

GRAFANA = PROJECT / "deploy" / "grafana"
BOARD = json.loads((GRAFANA / "board.json").read_text(encoding="utf-8"))
ROWS = [
    "SLO & traffic", "Latency", "Batches", "Errors", "Model & workers", "Drift", "Recall & labels",
    "Log & disk",
]  # fmt: skip
_GRAFANA_TIMES = {"$__rate_interval": "5m", "$__interval": "15s", "$__range": "6h"}
_SECONDS = 60.0


def shown() -> list[tuple[str, str]]:
    """The board's queries, with Grafana's variables filled in, and how it names their series."""
    found = [
        (target["expr"], target.get("legendFormat", ""))
        for panel in BOARD["panels"]
        for target in panel.get("targets", [])
    ]
    found += [(one["expr"], one["titleFormat"]) for one in BOARD["annotations"]["list"]]
    for name, value in _GRAFANA_TIMES.items():
        found = [(query.replace(name, value), legend) for query, legend in found]
    return found


def queries() -> list[str]:
    """The same without names, each once."""
    return list(dict.fromkeys(query for query, _ in shown()))


def of_rules() -> list[str]:
    """What the rules ask, to decide and to explain."""
    found = [str(rule["expr"]) for rule in rules.each(rules.read())]
    for rule in rules.alerts(rules.read()):
        text = " ".join(rule["annotations"].values())
        found += [one.replace('\\"', '"') for one in re.findall(r'query "((?:[^"\\]|\\.)*)"', text)]
    return found


@dataclass
class Watched:
    """A Prometheus over a service; `given` is what each query gave when it first gave anything."""

    prometheus: Prometheus
    given: dict[str, list[Sample]] = field(default_factory=dict)
    series: list[Labels] = field(default_factory=list)

    def ask(self) -> bool:
        """Ask what gave nothing yet; whether all has given something."""
        for query in queries():
            if query not in self.given and (found := self.prometheus.query(query)):
                self.given[query] = found
        return len(self.given) == len(queries())


@pytest.fixture(scope="module")
def watched(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A service to which everything happened that the board shows, and one that does not answer."""
    tools.tool("prometheus")
    folder = tmp_path_factory.mktemp("board")
    home = folder / "home"
    shutil.copytree(registered, home)
    path = configured(folder, performance={"label_delay_days": 0}, watch={"refresh_seconds": 3600})
    with Server(home, DATATHON_CONFIGURATION=path) as server:
        targets = [f"127.0.0.1:{server.port}", f"127.0.0.1:{free_port()}"]
        with Prometheus(targets, folder / "prometheus", pace=DRILL) as prometheus:
            found = Watched(prometheus)
            _fail(server, registered.parent / "v1.0.0", folder / "raising")
            found.ask()  # of the last minute: the pointer moved
            _call(server)
            _report(server, path)
            deadline = time.monotonic() + _SECONDS
            while not found.ask() and time.monotonic() < deadline:
                time.sleep(0.5)
            found.series = [one.labels for one in prometheus.query('{__name__!=""}')]
    found.series += [*_when_a_report_fails(), *_when_alerts_fire()]
    return found


def _fail(server: Server, sound: Path, artefacts: Path) -> None:
    """A version that raises on a live row is promoted and rolled back."""
    versions.raising(sound, artefacts)
    words = ["--version", "v1.2.0", "--artifacts", str(artefacts)]
    command(server.home, "registry", "register", *words)
    forced = ["--force", "--reason", "an incident"]
    command(server.home, "registry", "promote", "--version", "v1.2.0", *forced)
    assert server.predict([cohort_rows(1)[0] | {"instituicao": "Federal"}]).status_code == 500
    command(server.home, "registry", "rollback", "--reason", "it is over")


def _call(server: Server) -> None:
    """Answers, refusals, probes, and a challenger in the shadow."""
    command(server.home, "registry", "shadow", "--version", "v1.1.0")
    assert server.predict([{}]).status_code == 400
    for probe in ("/health", "/livez", "/metadata"):
        assert server.client.get(probe).status_code == 200


def _report(server: Server, configuration: str) -> None:
    """Rows with labels, and both reports on them."""
    answers = server.predict(cohort_rows(200)).json()
    labels = server.home.parent / "labels.csv"
    with labels.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["prediction_id", "label"])
        writer.writerows([one["prediction_id"], one["risk_label"]] for one in answers)
    command(server.home, "monitoring.labels", "import", labels)
    command(server.home, "monitoring.refresh", DATATHON_CONFIGURATION=configuration)


def _when_a_report_fails() -> list[Labels]:
    """What the service shows then, as it is scraped."""
    now = datetime.now(UTC)
    text = exposition.text([], now, {"drift": now, "performance": now}).decode()
    scraped = {"job": "datathon-api", "instance": "127.0.0.1:8000"}
    return [
        {"__name__": sample.name} | scraped | sample.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def _when_alerts_fire() -> list[Labels]:
    names = [rule["alert"] for rule in rules.alerts(rules.read())]
    return [{"__name__": "ALERTS", "alertname": name, "alertstate": "firing"} for name in names]


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


def test_every_query_of_the_board_gives_something(watched: Watched) -> None:
    assert [query for query in queries() if query not in watched.given] == []


def test_series_are_named_by_labels_that_they_have(watched: Watched) -> None:
    for query, legend in shown():
        wanted = set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert all(wanted <= set(one.labels) for one in watched.given.get(query, [])), query


def test_nothing_is_asked_for_that_is_not_exposed(watched: Watched) -> None:
    wrong = {one: unknown(one, watched.series) for one in [*queries(), *of_rules()]}
    assert {one: found for one, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ('datathon_recal{job="datathon-api"}', "datathon_recal{"),
        ('min(datathon_recall{job="datathon-api",kind="performanc"})', "performanc"),
        ('datathon_drift_status{job="datathon",kind="drift"}', "job"),
        ('rate(datathon_request_seconds_bucket{route="/predicts"}[5m])', "/predicts"),
        ('rate(datathon_requests_total{route!~"/health|/liveness"}[5m])', "/liveness"),
        ('rate(datathon_requests_total{path!="/health"}[5m])', "path"),
        ('datathon_version_workers{role="serves"}', "serves"),
        ('max by (version, rôle) (datathon_version_workers{role="serving"})', "rôle"),
        ('sum by (route) (rate(datathon_predictions_total{job="datathon-api"}[5m]))', "route"),
        ('up{job="datathon-api"} unless on (host) up{job="datathon-api"} == 0', "host"),
        ('ALERTS{alertname=~"DatathonErrors|DatathonGone"}', "DatathonGone"),
        ('last_over_time({__name__=~"datathon_report_at",job="datathon-api"}[5m])', "report_at"),
    ],
)
def test_what_is_not_exposed_is_found(watched: Watched, expression: str, wrong: str) -> None:
    assert wrong in " ".join(unknown(expression, watched.series))
