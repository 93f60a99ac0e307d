"""What a comparison says: curves against scikit-learn, and the sentences, tables and page of every
answer."""

import json
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sklearn import metrics as reference

from monitoring.performance.evaluation import evaluate
from registry import guardrails
from registry.configuration import GuardrailSettings
from registry.guardrails import Rows, Scored
from tests.training.tiny import trained
from training import comparison, comparison_page, comparison_terminal, comparison_wording, gain
from training.comparison import Comparison, View, precision_recall
from training.fit import Trained

SOURCE = {"name": "rows.csv", "sha256": "ab" * 32, "rows": 240}
LOG = {
    "name": "inference log",
    "sha256": "cd" * 32,
    "rows": 40,
    "versions": ["v1.0.0", "v1.1.0"],
    "left_out_versions": {"v0.9.0": "it is damaged"},
    "predictions": 90,
    "labelled": 50,
    "known_before": 2,
    "older": 6,
    "contested": 3,
    "in_the_file": 0,
    "outside_contract": {"income": 1},
    "labels": 60,
    "labels_without_prediction": 7,
}


@pytest.fixture(scope="module")
def fitted() -> Trained:
    return trained()


def view(version: str, rows: Rows, scored: Scored) -> View:
    found = evaluate(rows.target, scored.scores, scored.flags, rows.entities, resamples=50, seed=1)
    return View(version, scored, found)


def compared(
    *, noise: tuple[float, float] | None, count: int = 900, seen: bool = False
) -> Comparison:
    """A champion and a challenger that see the truth through so much noise; None: no champion."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=count) * 2
    target = (rng.random(count) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    rows = Rows(target, np.arange(count), {})
    old, new = (
        Scored(1 / (1 + np.exp(-(truth + rng.normal(0, sd, count)))), 0.5)
        for sd in noise or (1.0, 1.0)
    )
    limits = GuardrailSettings(resamples=300)
    if noise is None:
        verdict = guardrails.alone(rows, new, limits, seed=1)
        return Comparison(
            "loans", rows, view("v1.1.0", rows, new), None, None, None, verdict.to_dict()
        )
    settings: dict[str, Any] = {"resamples": 200, "seed": 1, "min_positives": 30, "seen": seen}
    return Comparison(
        model="loans",
        rows=rows,
        challenger=view("v1.1.0", rows, new),
        champion=view("v1.0.0", rows, old),
        champion_version="v1.0.0",
        gain=gain.measure(rows, old, new, **settings),
        verdict=guardrails.compare(rows, old, new, limits, seed=1).to_dict(),
        seen=seen,
    )


def document(found: Comparison, fitted: Trained, **changes: Any) -> dict[str, Any]:
    whole = comparison.document(found, fitted, changes.pop("data", SOURCE)) | {
        "made_at": "2026-11-22T10:00:00+00:00",
        "notes": [],
        "dry_run": False,
        "registered": True,
        "promotion": None,
    }
    whole |= changes
    return whole | {"next_step": comparison_wording.next_step(whole)}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=40))
def test_the_curve_is_that_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    target = np.array([label for label, _ in rows], dtype=np.int8)
    scores = np.array([score / 10 for _, score in rows])
    found = precision_recall(target, scores)
    if not target.any():
        assert found == []
        return
    precision, recall, _ = reference.precision_recall_curve(target, scores)
    expected = np.column_stack([recall, precision])[:-1][::-1]  # without its made-up last point
    assert np.array(found) == pytest.approx(expected, abs=1e-6)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(1)
    target, scores = rng.integers(0, 2, 5000).astype(np.int8), rng.random(5000)
    found = precision_recall(target, scores)
    assert len(found) == 200
    precision, recall, _ = reference.precision_recall_curve(target, scores)
    whole = {(round(r, 6), round(p, 6)) for r, p in zip(recall, precision, strict=True)}
    assert {tuple(point) for point in found} <= whole
    assert found[-1][0] == 1.0
    assert found[0][0] in (0.0, round(1 / int(target.sum()), 6))


@pytest.mark.parametrize(
    ("found", "answer", "step", "words"),
    [
        ({"noise": (6.0, 0.3)}, "yes", "promote", ["is worth it", "guardrails pass", "promote it"]),
        ({"noise": (0.3, 6.0)}, "no", "keep", ["not worth it", "guardrails fail: ", "keep v1.0.0"]),
        (
            {"noise": (0.3, 6.0), "seen": True},
            "not_shown",
            "keep",
            ["may have been fitted on these rows", "guardrails fail", "keep v1.0.0"],
        ),
        (
            {"noise": (1.0, 0.95), "count": 200},
            "not_shown",
            "more_labels",
            ["worse than v1.0.0 or", "times as many rows", "are undecided", "more labels"],
        ),
        (
            {"noise": (1.0, 0.2), "count": 40},
            "not_shown",
            "more_labels",
            ["positives of too few entities", "are undecided", "more labels"],
        ),
        ({"noise": None}, "first", "promote", ["no champion yet", "guardrails pass", "promote it"]),
    ],
)
def test_three_sentences_answer_judge_and_say_what_next(
    fitted: Trained, found: dict[str, Any], answer: str, step: str, words: list[str]
) -> None:
    whole = document(compared(**found), fitted)
    assert (whole["answer"], whole["next_step"]) == (answer, step)
    sentences = comparison_wording.sentences(whole)
    assert len(sentences) == 3
    assert [word for word in words if word not in " ".join(sentences)] == []
    assert "None" not in " ".join(sentences)
    assert (comparison_wording.command(whole) is not None) == (step != "keep")


def test_more_rows_are_counted_by_the_root_law(fitted: Trained) -> None:
    """With n times the rows the interval is the root of n narrower: then its low end is 0."""
    whole = document(compared(noise=(1.0, 0.95), count=200), fitted)
    whole["gain"]["differences"]["pr_auc"] = {"value": 0.02, "low": -0.01, "high": 0.05}
    (worth, *_) = comparison_wording.sentences(whole)
    assert "some 2.2 times as many rows" in worth  # (0.03 / 0.02) squared
    assert "0.010 worse than v1.0.0 or 0.050 better" in worth


def test_what_cannot_be_compared_is_said_and_has_no_champions_figures(fitted: Trained) -> None:
    found = replace(
        compared(noise=None),
        champion_version="v1.0.0",
        problem="the champion cannot be loaded",
        verdict={"status": "undecided", "rows": 1, "positives": 1, "checks": [], "note": "gone"},
    )
    whole = document(found, fitted)
    assert (whole["answer"], whole["next_step"]) == ("not_comparable", "look")
    assert "cannot be told: the champion cannot be loaded." in shown(whole)
    assert "gone" in comparison_page.render(whole)


@pytest.mark.parametrize(
    ("promotion", "step", "words"),
    [
        (
            {"done": True, "words": "loans: v1.0.0 → v1.1.0", "problem": ""},
            "done",
            "Promoted: loan",
        ),
        ({"done": True, "words": "", "problem": "a worker is silent"}, "confirm", "is silent"),
        ({"done": False, "words": "", "problem": "moved"}, "promote", "was not promoted: moved"),
        (
            {"done": False, "words": "", "problem": "v1.0.1 is better", "exit_code": 4},
            "keep",
            "the champion was moved meanwhile, and v1.0.1 is better; keep the new champion, or",
        ),
    ],
)
def test_what_came_of_a_promote_is_told(
    fitted: Trained, promotion: dict[str, Any], step: str, words: str
) -> None:
    whole = document(compared(noise=(6.0, 0.3)), fitted, promotion=promotion)
    assert whole["next_step"] == step
    assert words in shown(whole)


def test_a_dry_run_says_that_nothing_was_registered(fitted: Trained) -> None:
    dry = {"dry_run": True, "registered": False}
    whole = document(compared(noise=(6.0, 0.3)), fitted, **dry)
    told = "Nothing was registered (dry run): run it with --promote instead of --dry-run."
    assert shown(whole).endswith(told)  # no version to name in a command
    assert "registry promote" not in comparison_page.render(whole)


def shown(whole: dict[str, Any]) -> str:
    stream = StringIO()
    comparison_terminal.show(whole, Console(file=stream, width=100, highlight=False))
    return " ".join(stream.getvalue().split())


def test_terminal_and_page_show_both_models_and_where_the_rows_came_from(fitted: Trained) -> None:
    both = SOURCE | {"name": "rows.csv and inference log", "parts": [SOURCE, LOG]}
    whole = document(compared(noise=(6.0, 0.3)), fitted, data=both, notes=["no secret"])
    json.dumps(whole, allow_nan=False)
    terminal, page = shown(whole), comparison_page.render(whole)
    for text in (terminal, page):
        assert "PR-AUC" in text
        assert "recall, as many flags" in text
        assert "v1.1.0 against the champion v1.0.0" in text
    for line in (
        "240 rows of rows.csv, SHA-256 abababababab…",
        "90 predictions of v1.0.0, v1.1.0 in the log; 50 have a label, 40 of them are taken",
        "6 predictions have a newer one of the same entity and period",
        "3 labels contradict each other and are left out",
        "7 of 60 labels are about none of these predictions",
        "left out: 1 value(s) of income break today&#39;s contract",
        "rows of v0.9.0 are not read: it is damaged",
        "no secret",
    ):
        assert f"<li>{line}</li>" in page
    assert "are in the file too" not in page


def test_other_peoples_text_is_neither_markup_nor_control(fitted: Trained) -> None:
    hostile = "<script>alert(1)</script>[bold]\x1b[31m"
    data = SOURCE | {"name": hostile}
    whole = document(compared(noise=(6.0, 0.3)), fitted, data=data, notes=[hostile])
    whole["verdict"]["note"] = hostile
    page, terminal = comparison_page.render(whole), shown(whole)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;[bold]\\x1b[31m") == 3
    assert "\x1b" not in terminal
    assert "[bold]\\x1b[31m" in terminal


def test_the_two_curves_differ_by_more_than_colour(fitted: Trained) -> None:
    page = comparison_page.render(document(compared(noise=(6.0, 0.3)), fitted))
    style, body = page.split("</style>")
    assert ".chart .line.champion { stroke-dasharray" in style
    assert body.count('class="line champion"') == body.count('class="line challenger"') == 3
    assert body.count('class="then champion"') > 2
    assert body.count('class="dot"') > 2
    assert "http-equiv" in style
    assert "default-src 'none'" in style
    alone = comparison_page.render(document(compared(noise=None), fitted))
    assert 'class="line champion"' not in alone.split("</style>")[1]
