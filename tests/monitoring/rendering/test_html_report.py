import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from monitoring.rendering.html_report import render
from monitoring.rendering.wording import LANGS
from tests.monitoring.rendering.documents import (
    category,
    cause,
    drift,
    estimate,
    long_drift,
    number,
    performance,
    quiet_drift,
)

HOSTILE = "</svg></title><script>alert('x')</script><img src=x onerror=alert(1)>"
CONTROL = "\x1b[31m\ngreen\r\x07\x9b2J\u202e"
CONTROL_SHOWN = r"\x1b[31m\ngreen\r\x07\x9b2J\u202e"
VOID = {"meta"}
MEASURE = """<script>onload = () => {
    const page = document.querySelector("iframe").contentDocument.documentElement;
    document.title = `${page.clientWidth} ${page.scrollWidth}`;
}</script>"""


class Page(HTMLParser):
    """The page's text, elements and attributes; unbalanced tags are an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def unlabelled() -> dict[str, Any]:
    """A performance document before any label has come."""
    labels = performance()["labels"] | {
        "labelled": 0, "positives": 0, "coverage": 0.0, "delay_days": None, "base_rate": None,
    }  # fmt: skip
    metrics = dict.fromkeys(performance()["metrics"], estimate(None))
    return performance(
        status="inconclusive", reason="no_labels", labels=labels, metrics=metrics, training={},
        weeks=[], segments=[], reliability=[], estimate=None, estimate_error=None,
        next_step="wait_for_labels",
    )  # fmt: skip


def unknown_before() -> dict[str, Any]:
    """A drift document of a version that keeps no scores of its reference."""
    shift = drift()["score_shift"] | {"mean_before": None, "flagged_before": None}
    return drift(score_shift=shift, estimate=None, multivariate=None)


def large() -> dict[str, Any]:
    """Twenty features, ninety days."""
    levels = tuple(f"a level of some length {index}" for index in range(22))
    features = [number(f"feature_{index}", 0.5, "red", shift=2) for index in range(12)]
    features += [category(f"category_{index}", "red", levels) for index in range(8)]
    names = ["score", *(feature["name"] for feature in features)]
    days = [
        {
            "day": f"2026-{1 + index // 28:02}-{1 + index % 28:02}",
            **{"rows": 70, "entities": 70, "status": "red"},
            "psi": dict.fromkeys(names, 0.5),
            "noise": dict.fromkeys(names, 0.1),
            "statuses": dict.fromkeys(names, "red"),
        }
        for index in range(90)
    ]
    causes = [cause(feature["name"]) for feature in features]
    return drift(features=features, days=days, causes=causes)


DOCUMENTS = {
    "drift": drift(),
    "quiet": quiet_drift(),
    "unknown before": unknown_before(),
    "performance": performance(),
    "unlabelled": unlabelled(),
    "large": large(),
    "long": long_drift(400),
    "effect unknown": drift(causes=[cause(trend=None, score_shift=None, score_moved=None)]),
}


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_is_whole_and_needs_nothing_from_outside(name: str, lang: str) -> None:
    text = render(DOCUMENTS[name], lang)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "onload"} & {name for name, _ in page.attributes}
    assert not re.search(r"://|@import|url\(", text)
    assert ("lang", {"en": "en", "pt": "pt-BR"}[lang]) in page.attributes
    assert "None" not in page.text


@pytest.mark.parametrize("document", [drift(), performance()], ids=["drift", "performance"])
def test_the_verdict_and_the_next_step_come_before_any_plot(document: Any) -> None:
    page = render(document, "en")
    verdict = page.index(document["status"].upper())
    step = page.index("Next step")
    assert verdict < step < page.index("<figure>")


@pytest.mark.parametrize("status", ["green", "yellow", "red", "inconclusive"])
def test_the_status_can_be_read_without_colour(status: str) -> None:
    for document in (drift(status=status), performance(status=status)):
        assert status.upper() in Page(render(document, "en")).text


def test_a_page_in_portuguese_has_no_english_sentence_left() -> None:
    for document in (drift(), performance()):
        text = Page(render(document, "pt")).text
        assert not re.search(r"(?i)\b(the|of|since|and|missing|training|step|labels?)\b", text)
        assert "Próximo passo" in text


def hostile_documents(text: str = HOSTILE) -> Iterator[dict[str, Any]]:
    """Both kinds with that text wherever data, or a client, can put one."""
    features = [number(text, 6.0, "red", shift=3), category("x", "red", (text, "b", "c"))]
    days = drift()["days"]
    for day in days:
        for key in ("psi", "noise", "statuses"):
            day[key] = dict.fromkeys(("score", text, "x"), day[key]["score"])
    causes = [
        cause(text, first_request=text),
        cause("x", "unseen", detail={"levels": [text]}),
        cause("x", "stuck", detail={"value": text}),
        cause("x", "swapped", detail={"with": text}),
    ]
    joint = drift()["multivariate"] | {"leading": [text]}
    yield drift(
        model=text, model_version=text, features=features, days=days, causes=causes,
        multivariate=joint,
    )  # fmt: skip
    segments = [segment | {"level": text} for segment in performance()["segments"]]
    yield performance(model=text, model_version=text, segments=segments)


@pytest.mark.parametrize("document", list(hostile_documents()), ids=lambda d: str(d["kind"]))
def test_other_peoples_text_stays_text(document: Any) -> None:
    text = render(document, "en")
    page = Page(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "onerror" not in {name for name, _ in page.attributes}
    assert page.text.count(HOSTILE) >= 3


@pytest.mark.parametrize("document", list(hostile_documents(CONTROL)), ids=lambda d: str(d["kind"]))
@pytest.mark.parametrize("lang", LANGS)
def test_control_characters_of_other_peoples_text_are_shown_as_escapes(
    document: Any, lang: str
) -> None:
    text = render(document, lang)
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert "\ngreen" not in text
    assert Page(text).text.count(CONTROL_SHOWN) >= 3


def test_rows_that_name_no_entity_are_told_beside_the_counts() -> None:
    text = Page(render(drift(rows_without_entity=120), "en")).text
    assert text.index("480 entities") < text.index("120 of 500 rows") < text.index("RED")
    assert "name no entity" not in Page(render(drift(), "en")).text


def test_a_long_window_is_drawn_in_sixty_steps_that_hide_no_bad_day() -> None:
    document = long_drift(400)
    for index, day in enumerate(document["days"]):
        day["statuses"]["ips"] = "red" if index == 200 else "green"
        day["psi"]["ips"] = 0.05
    page = render(document, "en")
    trend = page[page.index("PSI by day: ips") :].split("</svg>")[0]
    assert 50 <= trend.count('class="mark') <= 60
    assert trend.count('class="mark red"') == 1
    assert "worst of up to 7 days" in Page(page).text
    assert "worst of up to" not in Page(render(drift(), "en")).text
    assert len(page.encode()) < 300_000


def test_the_figures_of_the_plots_stand_in_tables_too() -> None:
    text = Page(render(drift(), "en")).text
    for feature in drift()["features"]:
        assert f"{feature['psi']:.3f}" in text
    for day in drift()["days"]:
        assert day["day"] in text
    text = Page(render(performance(), "en")).text
    for week in performance()["weeks"]:
        assert week["start"] in text


def test_a_page_of_twenty_features_is_under_300_kilobytes() -> None:
    assert len(render(large(), "pt").encode()) < 300_000


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("name", ["drift", "performance"])
def test_a_phone_need_not_scroll_the_page_sideways(name: str, tmp_path: Path) -> None:
    wide = html.escape(render(DOCUMENTS[name], "pt"))
    frame = f'<iframe style="width:375px;height:800px;border:0" srcdoc="{wide}"></iframe>'
    host = tmp_path / "phone.html"
    host.write_text(f"<!DOCTYPE html>{frame}{MEASURE}")
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--user-data-dir={tmp_path}/p", "--virtual-time-budget=3000", "--dump-dom",
         host.as_uri()],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    title = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
    assert title is not None
    assert title.groups() == ("375", "375")
