"""The alerts, by promtool: each fires when it should, and not otherwise, nor does any other."""

import re
import subprocess
from pathlib import Path

import pytest

from monitoring.routes import PROBES
from monitoring.watching import rules
from registry.state import PROJECT
from tests.deploy import tools
from tests.deploy.alert_cases import CASES
from tests.deploy.exposed import Case
from tests.runbook import blocks

pytestmark = pytest.mark.incident

CONTRACT = {
    "DatathonErrors", "DatathonLatencyWarning", "DatathonLatency", "DatathonDriftRed",
    "DatathonRecallBreach", "DatathonRecallConfirmed", "DatathonEstimatedRecall", "DatathonDown",
    "DatathonNoChampion", "DatathonDegraded", "DatathonGenerationsDisagree",
    "DatathonWorkerRestarted", "DatathonWorkerStuck", "DatathonLogFailing", "DatathonDiskFilling",
    "DatathonNoPredictions", "DatathonNoLabels", "DatathonReportsStale", "DatathonBudgetFast",
    "DatathonBudgetSlow",
}  # fmt: skip
RUNBOOK = PROJECT / "docs" / "runbook.md"
ALERTS = {rule["alert"]: rule for rule in rules.alerts(rules.read())}


def test_the_alerts_are_those_of_the_runbook() -> None:
    assert set(ALERTS) == CONTRACT


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_an_alert_says_whom_it_calls_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule["labels"]) == {"severity", "team"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["labels"]["team"] in ("on-call", "tech-lead", "data-team")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook", "runbook_pt", "command"}
    assert notes["runbook"] == f"docs/runbook.md#{name.lower()}"
    assert notes["runbook_pt"] == f"docs/runbook.pt-BR.md#{name.lower()}"
    assert all(text.strip() for text in notes.values())


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_the_first_command_is_one_that_the_runbook_runs_there(name: str) -> None:
    """In the alert's section, in one that it refers to, or at the top, where everybody begins."""
    run: dict[str, set[str]] = {}
    for block in blocks.read(RUNBOOK):
        anchor = block.section.lower().replace(" ", "-")
        run.setdefault(anchor, set()).update(command.text for command in block.commands)
    places = ["runbook", name.lower(), *re.findall(r"\]\(#([^)]+)\)", _section(name))]
    assert ALERTS[name]["annotations"]["command"] in {
        c for place in places for c in run.get(place, ())
    }


def _section(name: str) -> str:
    text = RUNBOOK.read_text(encoding="utf-8")
    return text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_only_a_confirmed_recall_is_told_as_certain() -> None:
    said = {
        name: ALERTS[f"DatathonRecall{name}"]["annotations"] for name in ("Breach", "Confirmed")
    }
    assert "chance may explain it" in said["Breach"]["description"]
    assert "with certainty" in said["Confirmed"]["summary"]


def test_probes_are_the_same_in_the_rules_and_in_the_status() -> None:
    asked = "".join(str(rule["expr"]) for rule in rules.each(rules.read()))
    assert set(re.findall(r'route!~"([^"]+)"', asked)) == {"|".join(PROBES)}


def test_each_alert_is_seen_to_fire_and_not_to_fire() -> None:
    assert {name for case in CASES for name in case.firing} == CONTRACT


def test_promtool_finds_nothing_wrong() -> None:
    tools.run("promtool", "check", "rules", rules.RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what.replace(" ", "-"))
def test_exactly_these_alerts_fire(case: Case, tmp_path: Path) -> None:
    assert _firing(case, tmp_path) == case.firing


def test_the_summary_of_drift_names_the_features(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.what.startswith("two features"))
    test = _test(case) | {
        "alert_rule_test": [{"eval_time": "12m", "alertname": "DatathonDriftRed", "exp_alerts": []}]
    }
    said = _run(test, case.step, tmp_path)
    assert "Strong drift in idade inde" in said


def _firing(case: Case, folder: Path) -> set[str]:
    """The alerts that fire; promtool says what it got where nothing is what was expected."""
    query: dict[str, object] = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": case.at,
    }
    query["exp_samples"] = [{"labels": '{alertname="none"}', "value": 1}]
    said = _run(_test(case) | {"promql_expr_test": [query]}, case.step, folder)
    got = said[said.index("got:") :]
    return set(re.findall(r'alertname="(\w+)"', got))


def _test(case: Case) -> dict[str, object]:
    series = [{"series": name, "values": values} for name, values in case.series().items()]
    return {"interval": f"{case.step}s", "input_series": series}


def _run(test: dict[str, object], step: int, folder: Path) -> str:
    content = {
        "rule_files": [str(rules.RULES)],
        "evaluation_interval": f"{step if step < 300 else 1800}s",
        "tests": [test],
    }
    path = folder / "test.yml"
    path.write_text(tools.as_yaml(content), encoding="utf-8")
    done = subprocess.run(
        [tools.tool("promtool"), "test", "rules", path], capture_output=True, text=True, timeout=120
    )
    assert "got:" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr
