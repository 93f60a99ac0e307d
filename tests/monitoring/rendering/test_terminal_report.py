import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from monitoring.rendering.terminal_report import show
from monitoring.rendering.wording import LANGS
from tests.monitoring.rendering.documents import (
    cause,
    drift,
    long_drift,
    number,
    performance,
    quiet_drift,
)
from tests.monitoring.rendering.test_html_report import (
    CONTROL,
    CONTROL_SHOWN,
    DOCUMENTS,
    hostile_documents,
)


def shown(
    document: Mapping[str, Any], lang: str = "en", width: int = 80, *, by_day: bool = False
) -> list[str]:
    """The lines on a terminal of that width."""
    stream = io.StringIO()
    show(document, lang, Console(file=stream, width=width, highlight=False), by_day=by_day)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_but_a_command_is_wider_than_the_terminal(name: str, width: int, lang: str) -> None:
    lines = shown(DOCUMENTS[name], lang, width)
    wide = [line for line in lines if cell_len(line) > width]
    assert [line for line in wide if not line.startswith("  python")] == []
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


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("document", list(hostile_documents(CONTROL)), ids=lambda d: str(d["kind"]))
def test_control_characters_of_other_peoples_text_are_shown_as_escapes(
    document: Any, lang: str
) -> None:
    for by_day in (False, True):
        lines = shown(document, lang, width=300, by_day=by_day)
        assert [line for line in lines if not line.isprintable()] == []
        assert "\n".join(lines).count(CONTROL_SHOWN) >= 3


@pytest.mark.parametrize("text", ["[/b]", "[red]", "[/]", "[", "a\\", ":warning:", "[link=x]y"])
@pytest.mark.parametrize("kind", [0, 1], ids=["drift", "performance"])
def test_markup_in_other_peoples_text_stays_where_it_was(kind: int, text: str) -> None:
    document = list(hostile_documents(text))[kind]
    assert "\n".join(shown(document, width=300)).count(text) >= 3
    assert text in "\n".join(shown(document, width=300, by_day=True))


def test_rows_that_name_no_entity_are_told_after_what_was_left_out() -> None:
    lines = " ".join(shown(drift(rows_without_entity=120)))
    assert "other versions. 120 of 500 rows name no entity" in lines
    assert "name no entity" not in " ".join(shown(drift()))


def test_by_day_has_a_row_for_each_day_with_the_score_and_the_four_worst_features() -> None:
    document = drift()
    lines = shown(document, by_day=True)
    start = lines.index("PSI by day")
    header = lines[start + 1].split()
    assert header == [
        "day",
        "status",
        "rows",
        "entities",
        "score",
        *("ieg", "ips", "idade", "inde"),
    ]
    rows = [line.split() for line in lines[start + 3 : start + 3 + len(document["days"])]]
    assert [row[0] for row in rows] == [day["day"] for day in document["days"]]
    assert rows[5] == ["2026-11-20", "red", "70", "68", "0.31", "6.40", "0.19", *rows[5][7:]]
    assert not any("▁" in line for line in lines)


def test_by_day_colours_each_figure_as_its_own_status() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, highlight=False, force_terminal=True)
    show(drift(), "en", console, by_day=True)
    line = next(row for row in stream.getvalue().splitlines() if row.startswith("2026-11-20"))
    red, yellow = "\x1b[31m", "\x1b[33m"
    assert f"{red}red\x1b[0m" in line
    assert f"{red}6.40\x1b[0m" in line
    assert f"{yellow}0.19\x1b[0m" in line


@pytest.mark.parametrize("width", [80, 100])
def test_by_day_long_names_are_folded_and_days_are_not(width: int) -> None:
    features = [number("a_name_of_a_feature_that_goes_on_" + c, 1, "red") for c in "abcd"]
    names = ("score", *(feature["name"] for feature in features))
    figures = {key: dict.fromkeys(names, 1.5) for key in ("psi", "noise")}
    statuses = dict.fromkeys(names, "inconclusive")
    days = [
        day | figures | {"statuses": statuses, "status": "inconclusive"} for day in drift()["days"]
    ]
    for lang in LANGS:
        lines = shown(drift(features=features, days=days, causes=[]), lang, width, by_day=True)
        assert max(cell_len(line) for line in lines if not line.startswith("  ")) <= width
        rows = [line.split() for line in lines if line.startswith("2026-11-20 ")]
        assert [len(row) for row in rows] == [9]


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("count", [1, 60, 61, 400])
def test_the_sparkline_of_a_long_window_fits_and_ends_at_its_last_day(
    count: int, width: int
) -> None:
    lines = shown(long_drift(count), width=width)
    if count == 1:
        assert "PSI by day" not in lines
        return
    start = lines.index("PSI by day")
    blocks = next(line for line in lines[start:] if line.startswith("ieg")).split()[1]
    assert min(count, width - 20, 60) / 2 <= len(blocks) <= min(count, width - 20, 60)
    grouped = any(line.startswith("Each step is the worst of up to") for line in lines)
    assert grouped == (len(blocks) < count)


def test_an_undefined_recall_is_no_number() -> None:
    lines = shown(DOCUMENTS["unlabelled"])
    row = next(line for line in lines if line.startswith("Recall")).split()
    assert row == ["Recall", "–", "–", "–"]


def test_how_far_the_estimate_was_off_is_shown_once_labels_are_there() -> None:
    lines = shown(performance())
    start = lines.index("Estimated without labels")
    row = next(line for line in lines[start:] if line.startswith("Recall")).split()
    assert row[-1] == "+0.020"
