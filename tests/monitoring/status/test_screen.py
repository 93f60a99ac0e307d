"""The screen: it fits, it says the worst first, and it obeys nobody's control characters."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from monitoring.status import document, screen
from monitoring.status.facts import ErrorGroup, Facts, Health, Settings, Standing, Traffic
from monitoring.status.judgement import judge
from tests.monitoring.status.situations import (
    DOWN,
    DRIFT,
    HEALTH,
    LATELY,
    SAMPLE,
    STANDING,
    STORAGE,
    TRAFFIC,
    URL,
    WELL,
    WORKER,
    before,
)

COLUMNS, LINES = 80, 40
BROKEN = replace(
    WELL,
    health=replace(
        HEALTH, status="degraded", reason="inference log /srv/x: No space left" + " x" * 1000
    ),
    traffic=replace(
        TRAFFIC,
        sample=replace(SAMPLE, server_errors=9.0, log_failures=3.0),
        errors=(
            ErrorGroup("status", "503", 12_000.0, 9.0),
            ErrorGroup("exception", "ValueError", 7.0, 2.0, before(seconds=4)),
        ),
    ),
    standing=replace(
        STANDING,
        champion=LATELY,
        pointer_problem="/srv/bentoml/registry/champion.json is gone",
        workers=tuple(replace(WORKER, name=f"vm:{n}", generation=n) for n in range(8)),
    ),
    drift=replace(DRIFT, status="red", red=tuple(f"feature_{n}" for n in range(20))),
    storage=replace(STORAGE, free_bytes=1e9),
    settings=Settings((("on_call", ""), ("tech_lead", ""), ("data_team", "")), 300.0),
)


def shown(facts: Facts, width: int = COLUMNS) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    console.print(screen.draw(facts, judge(facts)), emoji=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("facts", [WELL, DOWN, BROKEN], ids=["well", "down", "broken"])
def test_it_fits_on_one_screen(facts: Facts) -> None:
    lines = shown(facts).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS


def test_a_service_that_is_well_is_told_in_figures() -> None:
    text = " ".join(shown(WELL, 200).split())
    for words in (
        "GREEN Nothing to do.",
        "health ok, serves v1.1.0 (generation 2), up 9 d 6 h",
        "champion defasagem-risk:v1.1.0, generation 2",
        "since 2026-11-13 03:00 UTC (9 d ago), promote by ana from v1.0.0: more precise",
        "rollback to v1.0.0, in memory of 1 of 1 workers",
        "workers vm:41 serves v1.1.0 (generation 2), has v1.0.0",
        "requests 40.0/s, 5xx 0.0%, 4xx 0.0% in 1.0 s; 50,000 since the start",
        "/predict p50 4, p95 9, p99 20 ms in 1.0 s (40 requests)",
        "memory 210 MB",
        "drift green; as of 3 min ago",
        "recall 0.78 (0.72–0.84) by labels, estimated 0.78 (0.72–0.84), floor 0.70",
        "labels 90% of those due, 450 labelled, last import 20 d ago; as of 3 min ago",
        "log newest row 1 s ago; 2026-11-22 has 1.2 MB",
        "disk 50 GB free (50%)",
        "call on call: Ana, +55 11 5555 0100",
    ):
        assert words in text, words


def test_without_traffic_it_says_since_when_the_figures_are() -> None:
    text = " ".join(shown(replace(WELL, traffic=replace(TRAFFIC, sample=None)), 200).split())
    assert "none in 1.0 s; 50,000 since the start" in text
    assert "p95 9, p99 20 ms since the start (50,000 requests)" in text


def test_what_is_wrong_comes_with_its_runbook_and_commands() -> None:
    text = " ".join(shown(BROKEN, 300).split())
    assert text.startswith("RED Act now.")
    assert "1. RED Degraded" in text
    assert "(docs/runbook.md#datathondegraded) $ python -m registry verify" in text
    assert "503 ×12,000 (9 just now); ValueError ×7 (2 just now), last 4 s ago" in text
    assert "NO ON CALL CONTACT: fill in contacts.on_call in configuration.yaml" in text
    assert "and 2 more (--json): DatathonErrors, DatathonDriftRed" in text


def test_control_characters_and_markup_of_others_are_shown_not_obeyed() -> None:
    evil = "[bold red]x[/] :smile: \x1b[2J\n\u202eGREEN  Nothing to do."
    facts = replace(
        WELL,
        health=Health(URL, 200, "degraded", evil, evil, 2, 9.0),
        standing=replace(
            STANDING,
            champion=replace(LATELY, reason=evil, by=evil),
            workers=(replace(WORKER, name=evil, problem=evil),),
        ),
        traffic=replace(TRAFFIC, errors=(ErrorGroup("exception", evil, 1.0, 0.0),)),
        settings=Settings((("on_call", evil),), 300.0),
    )
    text = shown(facts, 400)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold red]x[/] :smile: \\x1b[2J\\n\\u202eGREEN" in text
    assert not [line for line in text.splitlines() if line.startswith("GREEN")]


def test_nothing_known_is_drawn_too() -> None:
    facts = Facts(WELL.now, Health(URL, problem="x"), Traffic(), Standing(""))
    assert "None" not in shown(facts)


def test_the_document_has_the_same_facts() -> None:
    found = document.make(BROKEN, judge(BROKEN))
    assert (found["kind"], found["schema"], found["status"]) == ("status", 2, "red")
    assert found["made_at"] == "2026-11-22T03:00:00+00:00"
    assert found["standing"]["champion"]["version"] == "v1.1.0"
    assert found["traffic"]["errors"][1]["last_seen"] == "2026-11-22T02:59:56+00:00"
    assert found["contacts"] == {"on_call": "", "tech_lead": "", "data_team": ""}
    first = found["findings"][0]
    assert first["command"] == first["commands"][0] == "python -m registry verify"
    assert (first["alert"], first["runbook"]) == (
        "DatathonDegraded",
        "docs/runbook.md#datathondegraded",
    )
