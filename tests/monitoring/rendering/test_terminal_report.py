import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from monitoring.rendering.terminal_report import show
from monitoring.rendering.wording import LANGS
from tests.monitoring.rendering.documents import cause, drift, number, performance, quiet_drift
from tests.monitoring.rendering.test_html_report import DOCUMENTS


def shown(document: Mapping[str, Any], lang: str = "en", width: int = 80) -> list[str]:
    """The lines on a terminal of that width."""
    stream = io.StringIO()
    show(document, lang, Console(file=stream, width=width, highlight=False))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_but_a_command_is_wider_than_the_terminal(name: str, width: int, lang: str) -> None:
    lines = shown(DOCUMENTS[name], lang, width)
    wide = [line for line in lines if cell_len(line) > width]
    assert [line for line in wide if not line.startswith(("  python", "  grep"))] == []
    assert "None" not in "\n".join(lines)


def test_the_verdict_and_the_next_step_are_the_last_thing_on_the_screen() -> None:
    lines = shown(drift())
    at = next(index for index, line in enumerate(lines) if line.startswith("RED"))
    assert lines[-1].startswith("  python -m monitoring.drift_report")
    assert len(lines) - at <= 8
    assert any(line.startswith("Next step: Fix the data first") for line in lines[at:])


def test_the_verdict_of_performance_is_last_too() -> None:
    lines = shown(performance(), "pt")
    at = next(index for index, line in enumerate(lines) if line.startswith("AMARELO"))
    assert len(lines) - at <= 8
    assert "0,66 (0,61 a 0,71)" in lines[at]


def test_features_stand_worst_first_with_what_is_known_of_them() -> None:
    lines = shown(drift())
    rows = [line.split() for line in lines if " → " in line]
    assert [row[0] for row in rows[:4]] == ["score", "ieg", "ips", "idade"]
    assert rows[1] == ["ieg", "red", "6.400", "0.021", "4e-07", "1%", "→", "1.2%"]
    genero = next(row for row in rows if row[0] == "genero")
    assert genero[-1] == "2%"


def test_the_days_that_broke_are_seen_in_the_sparkline() -> None:
    lines = shown(drift())
    start = lines.index("PSI by day")
    ieg = next(line for line in lines[start:] if line.startswith("ieg")).split()[1]
    assert len(ieg) == len(drift()["days"])
    assert ieg[5:] == "█" * 3 or ieg[5:] == "▇" * 3
    assert max(ieg[:5]) < min(ieg[5:])


def test_inconclusive_features_are_explained() -> None:
    document = quiet_drift(features=[number("ida", 0.3, "inconclusive")])
    assert any(line.startswith("Inconclusive: ida.") for line in shown(document))


def test_brackets_in_other_peoples_text_are_shown_and_not_obeyed() -> None:
    document = drift(causes=[cause("[red]x[/]", first_request="[/bold][link=x]")])
    text = " ".join(shown(document, width=200))
    assert "97% of [red]x[/] values" in text
    assert "[/bold][link=x]" in text


def test_an_undefined_recall_is_no_number() -> None:
    lines = shown(DOCUMENTS["unlabelled"])
    row = next(line for line in lines if line.startswith("Recall")).split()
    assert row == ["Recall", "–", "–", "–"]


def test_how_far_the_estimate_was_off_is_shown_once_labels_are_there() -> None:
    lines = shown(performance())
    start = lines.index("Estimated without labels")
    row = next(line for line in lines[start:] if line.startswith("Recall")).split()
    assert row[-1] == "+0.020"
