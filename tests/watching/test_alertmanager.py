"""The template of Alertmanager's configuration, filled from the environment."""

from pathlib import Path

import pytest
import yaml

from monitoring.watching import alertmanager, prometheus, rules
from monitoring.watching.alertmanager import Waits
from registry.errors import UsageError
from tests.deploy import tools
from tests.server import command

pytestmark = pytest.mark.incident

NAMES = {
    "DATATHON_ONCALL_URL": "on-call",
    "DATATHON_TECH_LEAD_URL": "tech-lead",
    "DATATHON_DATA_TEAM_URL": "data-team",
}
ALL = {name: f"https://hooks.example/{team}" for name, team in NAMES.items()}


def webhooks(content: rules.Document) -> dict[str, list[str]]:
    return {
        receiver["name"]: [webhook["url"] for webhook in receiver["webhook_configs"]]
        for receiver in content["receivers"]
    }


def test_every_team_gets_its_own_webhook() -> None:
    rendered = alertmanager.render(ALL)
    assert rendered.missing == []
    assert webhooks(rendered.content) == {team: [ALL[name]] for name, team in NAMES.items()}


@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize("name", NAMES)
def test_a_missing_variable_is_told_and_its_team_gets_nothing(name: str, value: str | None) -> None:
    given = {key: url for key, url in ALL.items() if key != name}
    rendered = alertmanager.render(given if value is None else given | {name: value})
    assert webhooks(rendered.content)[NAMES[name]] == []
    (line,) = rendered.missing
    assert name in line
    assert NAMES[name] in line


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "hooks.example/x", "http:///path", "http://a:x/", "javascript:1", "https:///x"],
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="DATATHON_ONCALL_URL") as error:
        alertmanager.render(ALL | {"DATATHON_ONCALL_URL": url})
    assert url not in str(error.value)


@pytest.mark.parametrize("given", [ALL, {}])
def test_amtool_takes_it(given: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    alertmanager.write(path, alertmanager.render(given, waits=Waits("500ms", "2s")).content)
    assert path.stat().st_mode & 0o077 == 0
    tools.run("amtool", "check-config", path)


@pytest.mark.parametrize("rule", rules.alerts(rules.read()), ids=lambda rule: str(rule["alert"]))
def test_an_alert_goes_to_its_team(rule: rules.Document, tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    alertmanager.write(path, alertmanager.render(ALL).content)
    labels = [f"{name}={value}" for name, value in rule["labels"].items()]
    said = tools.run("amtool", "config", "routes", "test", f"--config.file={path}", *labels)
    assert said.splitlines()[0] == rule["labels"]["team"]


def test_inhibition_names_alerts_that_there_are() -> None:
    names = {rule["alert"] for rule in rules.alerts(rules.read())}
    pairs = inhibited()
    assert {name for pair in pairs for name in pair} <= names
    # Two that silence each other would leave nobody told.
    assert not {pair for pair in pairs if pair[::-1] in pairs}


@pytest.mark.parametrize(
    ("firing", "told"),
    [
        # on_log_failure: refuse; with serve, the errors are another incident
        ("LogFailing Errors Degraded DiskFilling BudgetFast BudgetSlow", "LogFailing Errors"),
        ("LogFailing BudgetFast", "LogFailing BudgetFast"),
        ("NoChampion Errors Degraded WorkerRestarted GenerationsDisagree", "NoChampion"),
        ("WorkerRestarted Degraded", "WorkerRestarted Degraded"),
        ("Down NoChampion LogFailing WorkerStuck", "Down"),
        ("RecallConfirmed RecallBreach EstimatedRecall", "RecallConfirmed"),
        ("DriftRed EstimatedRecall", "DriftRed EstimatedRecall"),  # to two teams
    ],
)
def test_of_one_incident_only_the_cause_is_told(firing: str, told: str) -> None:
    fire = {f"Datathon{name}" for name in firing.split()}
    silent = {symptom for cause, symptom in inhibited() if cause in fire}
    assert fire - silent == {f"Datathon{name}" for name in told.split()}


def test_a_service_s_trouble_silences_only_its_own() -> None:
    """Where both alerts name an instance."""
    named = {rule["alert"] for rule in rules.alerts(rules.read()) if "by (instance" in rule["expr"]}
    for rule in alertmanager.render(ALL).content["inhibit_rules"]:
        causes, symptoms = matched(rule)
        assert (rule.get("equal") == ["instance"]) == (causes | symptoms <= named), rule


def matched(rule: rules.Document) -> tuple[set[str], set[str]]:
    (source,), (target,) = rule["source_matchers"], rule["target_matchers"]
    causes, symptoms = (set(text.split('"')[1].split("|")) for text in (source, target))
    return causes, symptoms


def inhibited() -> set[tuple[str, str]]:
    """Causes with what they silence."""
    pairs = set()
    for rule in alertmanager.render(ALL).content["inhibit_rules"]:
        causes, symptoms = matched(rule)
        pairs |= {(cause, symptom) for cause in causes for symptom in symptoms}
    return pairs


def test_the_files_for_containers_are_checked_by_their_tools(tmp_path: Path) -> None:
    done = command(
        tmp_path / "home", "monitoring.watching", "--output", tmp_path / "out",
        "--target", "api:8000", "--target", "api2:8000", "--alertmanager", "alertmanager:9093",
        DATATHON_ONCALL_URL="https://hooks.example/x", DATATHON_DATA_TEAM_URL="http://h/y",
    )  # fmt: skip
    assert done.stderr.splitlines() == [
        "warning: DATATHON_TECH_LEAD_URL is not set: "
        "nobody is told what receiver 'tech-lead' would get"
    ]
    tools.run("promtool", "check", "config", tmp_path / "out" / "prometheus.yml")
    tools.run("amtool", "check-config", tmp_path / "out" / "alertmanager.yml")
    content = yaml.safe_load((tmp_path / "out" / "prometheus.yml").read_text(encoding="utf-8"))
    (scrape,) = content["scrape_configs"]
    assert scrape["job_name"] == "datathon-api"
    assert scrape["static_configs"] == [{"targets": ["api:8000", "api2:8000"]}]


def test_the_product_s_own_configuration_is_checked_by_promtool() -> None:
    tools.run("promtool", "check", "config", prometheus.CONFIGURATION)
