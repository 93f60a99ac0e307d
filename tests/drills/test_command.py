"""`python -m monitoring.drill`: wrong calls, and machines that lack what it needs."""

from pathlib import Path

import pytest

from monitoring.drill import NAMES
from monitoring.drills.catalogue import PLOTS
from monitoring.watching import rules
from tests.server import command


def test_the_names_on_the_command_line_are_the_drills() -> None:
    assert tuple(PLOTS) == NAMES


def test_every_alert_of_a_drill_is_one_of_the_rules() -> None:
    known = {rule["alert"] for rule in rules.alerts(rules.read())}
    for plot in PLOTS.values():
        assert {plot.alert, *plot.companions} <= known, plot.name
        assert plot.alert not in plot.companions


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: NAME"),
        (["fire"], "invalid choice: 'fire'"),
        (["5xx", "--json", "no/such/folder/drill.json"], "there is no folder no/such/folder"),
        (["5xx", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_a_wrong_call_is_told_in_a_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = command(tmp_path, "monitoring.drill", *arguments, check=False)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_without_prometheus_one_line_says_what_to_install(tmp_path: Path) -> None:
    extra = {"PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = command(tmp_path, "monitoring.drill", "all", check=False, **extra)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert "apt-get install prometheus prometheus-alertmanager" in line
    assert list(tmp_path.iterdir()) == []
