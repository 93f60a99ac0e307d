"""The shadow report, held against the raw lines of both logs in plain Python."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitoring import compact, shadow_report
from monitoring.labels import __main__ as labels
from monitoring.log.writing import SECRET_VARIABLE, EntityKeys, InferenceLog, ScoredRequest
from monitoring.shadow import pairs
from monitoring.shadow.comparison import mean_difference
from monitoring.statistics import wilson
from registry import loaded
from registry.loaded import LoadedVersion
from registry.state import State
from registry.validation import ValidRow
from tests.artefacts import MODEL, install

SECRET = "a secret of the tests"
NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(days=3)
ROWS = 600

Document = dict[str, Any]
Report = Callable[..., tuple[int, Document]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def state(tiny_artefacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A home with three versions and a configuration of their model."""
    found = State(tmp_path / "home")
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        install(found, tiny_artefacts, version)
    monkeypatch.setenv("BENTOML_HOME", str(found.home))
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    return found


@pytest.fixture
def report(state: State, capsys: Capture) -> Report:
    def run(*arguments: str) -> tuple[int, Document]:
        capsys.readouterr()
        code = shadow_report.main([*arguments, "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else {"error": told.err}

    return run


class Traffic:
    """Rows that v1.0.0 and then v1.1.0 answered, most of which v1.2.0 scored a second later."""

    def __init__(self, state: State, *, seed: int = 0, entities: int = ROWS) -> None:
        rng = np.random.default_rng(seed)
        self.target = (rng.random(ROWS) < 0.4).astype(int)
        signal = self.target + rng.normal(0, 0.8, ROWS)
        self.champion = 1 / (1 + np.exp(-2 * (signal + rng.normal(0, 0.4, ROWS) - 0.5)))
        self.challenger = 1 / (1 + np.exp(-2 * (signal + rng.normal(0, 0.2, ROWS) - 0.4)))
        self.ids = [f"q{number // 10}-{number % 10}" for number in range(ROWS)]
        self.scored = (np.arange(ROWS) // 10) % 6 != 5
        self.people = [f"pupil {who}" for who in rng.integers(0, entities, ROWS)]
        folder = state.models / MODEL / "v1.0.0"
        ready = replace(loaded.load(folder, "v1.0.0", None, max_rows=1), threshold=0.5)
        answers = InferenceLog(state.inference_log, EntityKeys(SECRET))
        shadowed = InferenceLog(state.shadow_log, EntityKeys(SECRET))
        for first in range(0, ROWS, 10):
            at = START + timedelta(minutes=first)
            champion = replace(ready, version="v1.0.0" if first < 350 else "v1.1.0")
            answers.append([self._request(first, champion, self.champion)], at)
            if self.scored[first]:
                later, by = at + timedelta(seconds=1), replace(ready, version="v1.2.0")
                by = replace(by, threshold=0.45)
                shadowed.append([self._request(first, by, self.challenger)], later)

    def _request(self, first: int, by: LoadedVersion, scores: Any) -> ScoredRequest:
        places = range(first, first + 10)
        rows = [ValidRow((10, 5.0, "public"), self.people[place], 2026) for place in places]
        ids = [self.ids[place] for place in places]
        return ScoredRequest(f"q{first // 10}", ids, by, rows, [float(scores[p]) for p in places])


def lines(root: Path) -> dict[str, Document]:
    """The raw records by prediction_id."""
    files = root.glob("dt=*/*.jsonl")
    found = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return {record["prediction_id"]: record for record in found}


def label(state: State, ids: Sequence[str], target: Sequence[int], capsys: Capture) -> None:
    path = state.home / "labels.csv"
    told = "".join(f"{i},{y},{NOW.isoformat()}\n" for i, y in zip(ids, target, strict=True))
    path.write_text("prediction_id,label,observed_at\n" + told)
    assert labels.main(["import", str(path)]) == 0
    capsys.readouterr()


def test_every_figure_is_that_of_the_raw_lines(state: State, report: Report) -> None:
    Traffic(state)
    code, found = report("--model_version", "v1.2.0")
    assert code == 0
    answers, shadowed = lines(state.inference_log), lines(state.shadow_log)
    both = [(answers[one], shadowed[one]) for one in shadowed]
    assert (found["kind"], found["model"], found["model_version"]) == ("shadow", MODEL, "v1.2.0")
    assert found["rows"] == len(both) == 500
    assert found["entities"] == len({theirs["entity"] for theirs, _ in both})
    coverage = found["coverage"]
    assert (coverage["answers"], coverage["scored"]) == (600, 500)
    assert coverage["share"] == pytest.approx(500 / 600, abs=1e-6)
    first, last = (pick(theirs["ts"] for theirs, _ in both) for pick in (min, max))
    meanwhile = [one for one in answers.values() if first <= one["ts"] <= last]
    assert coverage["share_meanwhile"] == pytest.approx(500 / len(meanwhile), abs=1e-6)
    assert coverage["champions"] == [
        {
            "model_version": version,
            "answers": sum(one["model_version"] == version for one in answers.values()),
            "scored": sum(theirs["model_version"] == version for theirs, _ in both),
        }
        for version in ("v1.0.0", "v1.1.0")
    ]
    differ = sum(theirs["risk_label"] != ours["risk_label"] for theirs, ours in both)
    assert found["disagreement"]["value"] == pytest.approx(differ / 500, abs=1e-6)
    changes = [ours["risk_score"] - theirs["risk_score"] for theirs, ours in both]
    score = found["score"]
    assert score["champion_mean"] == pytest.approx(
        mean(theirs["risk_score"] for theirs, _ in both), abs=1e-6
    )
    assert score["difference"]["value"] == pytest.approx(mean(changes), abs=1e-6)
    assert score["mean_absolute_difference"] == pytest.approx(mean(map(abs, changes)), abs=1e-6)
    assert score["psi"] == pytest.approx(
        deciles_psi(*([one[side]["risk_score"] for one in both] for side in (0, 1))), abs=1e-6
    )
    for key, before, now in (("newly", 0, 1), ("no_longer", 1, 0)):
        changed = [
            {
                "prediction_id": theirs["prediction_id"],
                "champion_version": theirs["model_version"],
                "champion_score": theirs["risk_score"],
                "challenger_score": ours["risk_score"],
            }
            for theirs, ours in both
            if (theirs["risk_label"], ours["risk_label"]) == (before, now)
        ]
        assert len(changed) > 5
        changed.sort(key=lambda one: -abs(one["challenger_score"] - one["champion_score"]))
        told = found["flagged"][key]
        assert told == {"rows": len(changed), "cut": False, "shown": changed}
    assert found["flagged"]["champion"] == sum(theirs["risk_label"] for theirs, _ in both)
    assert found["flagged"]["challenger"] == sum(ours["risk_label"] for _, ours in both)
    assert found["labels"]["labelled"] == 0
    assert found["labels"]["verdicts"] == []
    (kept,) = state.reports.glob("shadow-v1.2.0-*.json")
    assert json.loads(kept.read_text()) == found


def deciles_psi(reference: Sequence[float], window: Sequence[float]) -> float:
    """PSI over ten bins of equal mass of the reference, half a count added to each."""
    ranked = sorted(np.float32(value) for value in reference)
    edges = [ranked[len(ranked) * tenth // 10] for tenth in range(1, 10)]
    counts = [
        [sum(sum(np.float32(v) >= edge for edge in edges) == bin_ for v in values) + 0.5
         for bin_ in range(10)]
        for values in (reference, window)
    ]  # fmt: skip
    p, q = ([count / sum(side) for count in side] for side in counts)
    return math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_labels_give_both_models_recall_and_precision_and_a_verdict_for_each_champion(
    state: State, report: Report, capsys: Capture
) -> None:
    traffic = Traffic(state)
    known = range(0, ROWS, 2)
    label(state, [traffic.ids[n] for n in known], [int(traffic.target[n]) for n in known], capsys)
    code, found = report("--model_version", "v1.2.0")
    assert code == 0
    answers, shadowed = lines(state.inference_log), lines(state.shadow_log)
    ids = [traffic.ids[n] for n in known if traffic.scored[n]]
    truth = {traffic.ids[n]: int(traffic.target[n]) for n in known}
    assert found["labels"]["labelled"] == len(ids)
    assert found["labels"]["positives"] == sum(truth[one] for one in ids)
    for who, log in (("champion", answers), ("challenger", shadowed)):
        caught = sum(truth[one] and log[one]["risk_label"] for one in ids)
        for metric, trials in (
            ("recall", sum(truth[one] for one in ids)),
            ("precision", sum(log[one]["risk_label"] for one in ids)),
        ):
            told = found["labels"][who][metric]
            assert told["value"] == pytest.approx(caught / trials, abs=1e-6)
            assert told["low"] < told["value"] < told["high"]
    verdicts = {one["champion"]: one for one in found["labels"]["verdicts"]}
    assert set(verdicts) == {"v1.0.0", "v1.1.0"}
    for version, verdict in verdicts.items():
        mine = [one for one in ids if answers[one]["model_version"] == version]
        positives = [one for one in mine if truth[one]]
        assert (verdict["rows"], verdict["positives"]) == (len(mine), len(positives))
        (check,) = (check for check in verdict["checks"] if check["name"] == "recall")
        for who, log in (("champion", answers), ("challenger", shadowed)):
            recall = mean(log[one]["risk_label"] for one in positives)
            assert check[who] == pytest.approx(recall, abs=1e-6)


def test_a_label_by_entity_and_period_counts_too(
    state: State, report: Report, capsys: Capture
) -> None:
    traffic = Traffic(state)
    path = state.home / "labels.csv"
    path.write_text(f"entity_id,period,label\n{traffic.people[0]},2026,1\n")
    assert labels.main(["import", str(path)]) == 0
    _, found = report("--model_version", "v1.2.0")
    about = [n for n in range(ROWS) if traffic.people[n] == traffic.people[0] and traffic.scored[n]]
    assert found["labels"]["labelled"] == found["labels"]["positives"] == len(about) > 0


def test_the_report_is_the_same_after_a_compaction(state: State, report: Report) -> None:
    Traffic(state, entities=100)
    _, before = report("--model_version", "v1.2.0")
    compact.run(state, today=NOW.date(), include_today=True, dry_run=False)
    assert not [*state.home.rglob("dt=*/*.jsonl")]
    _, after = report("--model_version", "v1.2.0")
    moving = ("start", "end", "made_at")
    assert {k: v for k, v in after.items() if k not in moving} == {
        k: v for k, v in before.items() if k not in moving
    }


def test_without_repeated_entities_disagreement_has_wilsons_own_interval(
    state: State, report: Report
) -> None:
    Traffic(state, entities=10**9)
    _, found = report("--model_version", "v1.2.0")
    value = found["disagreement"]["value"]
    low, high = wilson(round(value * 500), 500)
    assert found["entities"] == 500
    assert found["disagreement"]["low"] == pytest.approx(low, abs=1e-6)
    assert found["disagreement"]["high"] == pytest.approx(high, abs=1e-6)


def test_the_window_is_about_the_answers(state: State, report: Report) -> None:
    """Rows answered in its last second are scored after its end."""
    Traffic(state)
    ends = (START + timedelta(minutes=100, microseconds=1)).isoformat()
    code, found = report("--from", START.isoformat(), "--to", ends, "--model-version", "v1.2.0")
    assert (code, found["coverage"]["answers"], found["rows"]) == (0, 110, 100)


def test_the_list_of_rows_is_cut_and_says_so(
    state: State, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    Traffic(state)
    _, whole = report("--model_version", "v1.2.0")
    monkeypatch.setattr(pairs, "MOST_SHOWN", 5)
    _, found = report("--model_version", "v1.2.0")
    newly = found["flagged"]["newly"]
    assert newly["cut"]
    assert newly["rows"] == whole["flagged"]["newly"]["rows"]
    assert newly["shown"] == whole["flagged"]["newly"]["shown"][:5]


def test_it_is_about_who_is_in_the_shadow_else_about_who_was_last(
    state: State, report: Report
) -> None:
    Traffic(state)
    assert report()[1]["model_version"] == "v1.2.0"
    choose(state, "v1.1.0")
    code, found = report()
    assert code == 3
    assert "no row that v1.1.0 scored in the shadow" in found["error"]
    assert "it is in the shadow since" in found["error"]
    choose(state, "v1.2.0")
    assert report()[0] == 0


def choose(state: State, version: str) -> None:
    state.registry.mkdir(exist_ok=True)
    chosen = {"schema": 1, "model": MODEL, "version": version, "digest": "sha256:0"}
    text = json.dumps(chosen | {"by": "me", "at": "2026-11-22T10:00:00Z"})
    state.challenger.write_text(text)


def test_where_nothing_can_be_compared_it_says_why(state: State, report: Report) -> None:
    code, found = report()
    assert (code, found["error"].count("\n")) == (3, 1)
    assert "registry shadow --version" in found["error"]
    Traffic(state)
    for arguments, words in (
        (("--model_version", "v1.1.0"), "it is not in the shadow"),
        (("--model_version", "v9.9.9"), "no version 'v9.9.9'"),
        (("--model_version", "v1.2.0", "--to", "2020-01-01"), "choose another window"),
    ):
        code, found = report(*arguments)
        assert (code, found["error"].count("\n")) == (3, 1)
        assert words in found["error"]
    assert not state.reports.exists()


def test_damage_and_wrong_calls_have_their_exit_codes(
    state: State, report: Report, capsys: Capture
) -> None:
    Traffic(state)
    code, found = report("--last_n_days", "7", "--from", "2026-01-01")
    assert (code, found["error"].count("\n")) == (2, 1)
    compact.run(state, today=NOW.date(), include_today=True, dry_run=False)
    part = next(state.shadow_log.rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-9])
    code, found = report("--model_version", "v1.2.0")
    assert (code, found["error"].count("\n")) == (6, 1)
    assert str(part) in found["error"]
    choose(state, "garbage")
    assert report()[0] == 6


def test_the_terminal_shows_the_ten_that_differ_most_and_obeys_nothing(
    state: State, capsys: Capture
) -> None:
    traffic = Traffic(state)
    label(state, traffic.ids, traffic.target.tolist(), capsys)
    assert shadow_report.main(["--model_version", "v1.2.0"]) == 0
    shown = capsys.readouterr().out
    assert f"{MODEL}:v1.2.0 in the shadow" in shown
    assert "83.3%" in shown
    assert sum(line.startswith("q") for line in shown.splitlines()) == 20
    assert "against v1.0.0 on 300 rows" in shown
    assert "report: " in shown
    assert all(one.isprintable() for one in shown.replace("\n", ""))


@given(
    differences=st.lists(st.floats(-1, 1), min_size=2, max_size=40),
    copies=st.integers(1, 4),
)
def test_the_interval_of_a_mean_knows_entities(differences: list[float], copies: int) -> None:
    """It is Student's where no entity repeats; copies of a row within its entity add nothing."""
    values = np.repeat(np.array(differences), copies)
    entities = np.repeat(np.arange(len(differences)), copies)
    found = mean_difference(values, entities)
    assert found.value == pytest.approx(np.mean(differences), abs=1e-6)
    if np.ptp(differences) > 1e-3:
        expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert found.low == pytest.approx(expected.low, abs=2e-6)
        assert found.high == pytest.approx(expected.high, abs=2e-6)


def test_one_entity_gives_no_interval() -> None:
    found = mean_difference(np.array([0.1, 0.3]), np.zeros(2, dtype=np.int64))
    assert (found.value, found.low, found.high) == (0.2, None, None)
