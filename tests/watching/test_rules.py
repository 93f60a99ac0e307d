"""Shortened rules: every time divided, nothing else touched."""

from pathlib import Path

import pytest

from monitoring.watching import rules
from monitoring.watching.rules import Document, Pace
from registry.errors import UsageError
from tests.deploy import tools

PACE = Pace(factor=60, scrape_seconds=0.5)


def document(expression: str, **times: str) -> Document:
    return {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": expression} | times]}]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rate(x[5m]) > 0.01", "rate(x[5s]) > 0.01"),
        ("rate(x[1m])", "rate(x[2s])"),  # four scrapes at least
        ("rate(x[1h30m])", "rate(x[90s])"),
        ("rate(x[151s])", "rate(x[2517ms])"),  # rounded up
        ("x offset 1d", "x offset 1440s"),
        ("x offset -5m", "x offset -5s"),
        ("max_over_time((x)[15m:1m])", "max_over_time((x)[15s:1s])"),
        ("max_over_time((x)[15m:])", "max_over_time((x)[15s:])"),
        ("time() - x > 3600 # shortened", "time() - x > 60 # shortened"),
        ("time() - x > 15", "time() - x > 15"),
        ('x{a="[5m] offset 5m"} > 600', 'x{a="[5m] offset 5m"} > 600'),
        ("x # over [5m], 600 s\n  > 2", "x # over [5m], 600 s\n  > 2"),
    ],
)
def test_times_of_an_expression_are_divided(before: str, after: str) -> None:
    (rule,) = rules.each(rules.shortened(document(before), PACE))
    assert rule["expr"] == after


@pytest.mark.parametrize(
    ("before", "after"), [("10m", "10s"), ("15s", "500ms"), ("0s", "0s"), ("45s", "750ms")]
)
def test_for_keeps_one_scrape(before: str, after: str) -> None:
    changed = rules.shortened(document("x", **{"for": before, "keep_firing_for": before}), PACE)
    (rule,) = rules.each(changed)
    assert (rule["for"], rule["keep_firing_for"]) == (after, after)


def test_factor_one_changes_nothing() -> None:
    assert rules.shortened(rules.read(), Pace()) == rules.read()


def test_the_rules_of_the_product_can_be_shortened() -> None:
    changed = rules.shortened(rules.read(), Pace(factor=120, scrape_seconds=0.5))
    by_name = {rule["alert"]: rule for rule in rules.alerts(changed)}
    assert list(by_name) == [rule["alert"] for rule in rules.alerts(rules.read())]
    assert by_name["DatathonErrors"]["for"] == "5s"
    assert "> 30 # shortened" in by_name["DatathonReportsStale"]["expr"]
    assert "[2s]" in by_name["DatathonWorkerStuck"]["expr"]
    assert ") > 15" in " ".join(by_name["DatathonWorkerStuck"]["expr"].split())
    assert by_name["DatathonErrors"]["labels"] == rules.alerts(rules.read())[2]["labels"]


def test_promtool_takes_the_shortened_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    changed = rules.shortened(rules.read(), Pace(factor=997, scrape_seconds=0.3))
    path.write_text(tools.as_yaml(changed), encoding="utf-8")
    tools.run("promtool", "check", "rules", path)


@pytest.mark.parametrize("text", ["5", "5 m", "m", "", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        rules.milliseconds(text)


@pytest.mark.parametrize("content", [b"", b"[1]", b"groups: {", b"groups: 1", b"\xff"])
def test_a_file_that_holds_no_rules_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rules.yml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"rules\.yml"):
        rules.read(path)
