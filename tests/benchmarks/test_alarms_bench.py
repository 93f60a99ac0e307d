"""`make bench-alarms` judges tools by a truth, so the truth must be true: what a stream says was
done to it is what was done, and a right answer counts as right."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, ks_2samp

from benchmarks import alarms, alarms_outcomes
from benchmarks.alarms_case_streams import CASES
from benchmarks.alarms_cells import CALM, CHANGED, Cell, Results
from benchmarks.alarms_outcomes import Ours, Rate, Theirs
from benchmarks.alarms_results import verdict
from benchmarks.alarms_streams import (
    BUGS,
    CATEGORICAL,
    DAMAGED,
    DAYS,
    FEATURES,
    NEW_NULLS,
    SMOOTH,
    START,
    Kind,
    Stream,
    Truth,
    calm,
    changed,
    rows,
)
from registry.state import PROJECT

SINCE = datetime(2026, 11, 17, 9, 30, tzinfo=UTC)


def later(stream: Stream, moment: datetime | None) -> NDArray[np.bool_]:
    """The window's rows from a moment on."""
    assert moment is not None
    return stream.times >= round(moment.timestamp() * 1e6)


@pytest.mark.parametrize("kind", BUGS)
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_only_the_named_features_change_and_only_since_the_moment_named(
    kind: Kind, seed: int
) -> None:
    stream = changed(kind, seed, reference=300, window=5_000)
    fresh = pd.DataFrame(rows(np.random.default_rng(99), 5_000))
    window = pd.DataFrame(stream.window)
    late = later(stream, stream.truth.since)
    assert 0 < late.sum() <= 5_000
    assert 0 <= stream.times[late][0] - START.timestamp() * 1e6 < 5 * 24 * 3600 * 1e6
    for name in window:
        untouched = window[name][~late] if name in stream.truth.features else window[name]
        if len(untouched) < 100:
            continue
        assert abs(untouched.isna().mean() - fresh[name].isna().mean()) < 0.05
        if name in CATEGORICAL:
            assert set(untouched.dropna()) <= set(fresh[name])
        else:
            assert ks_2samp(untouched.dropna(), fresh[name].dropna()).pvalue > 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_a_bug_is_what_its_name_says(seed: int) -> None:
    def late(kind: Kind) -> tuple[Stream, "pd.DataFrame", "pd.DataFrame"]:
        stream = changed(kind, seed, reference=4_000, window=4_000)
        window = pd.DataFrame(stream.window)
        return stream, window[later(stream, stream.truth.since)], pd.DataFrame(stream.reference)

    stream, now, before = late("nulls")
    (name,) = stream.truth.features
    expected = 1 - (1 - NEW_NULLS) * (1 - before[name].isna().mean())
    assert abs(now[name].isna().mean() - expected) < 0.05
    stream, now, before = late("unseen")
    (name,) = stream.truth.features
    assert set(now[name].dropna()).isdisjoint(before[name])
    stream, now, _ = late("stuck")
    (name,) = stream.truth.features
    assert now[name].dropna().eq(stream.truth.detail[name]["value"]).all()
    stream, now, before = late("factor")
    (name,) = stream.truth.features
    ratio = now[name].median() / before[name].median()
    assert ratio == pytest.approx(stream.truth.detail[name]["factor"], rel=0.1)
    stream, now, _ = late("range")
    (name,) = stream.truth.features
    low, high = FEATURES[name].entry["soft_range"]
    assert (~now[name].between(low, high)).mean() > 0.9
    stream, now, _ = late("integer")
    (name,) = stream.truth.features
    assert (now[name] % 1 == 0).all()
    stream, now, before = late("swapped")
    one, other = stream.truth.features
    assert stream.truth.detail == {one: {"with": other}, other: {"with": one}}
    known = {name: set(before[name].dropna()) for name in (one, other)}
    if one in CATEGORICAL:
        assert set(now[one].dropna()) <= known[other]
    else:
        assert now[one].median() == pytest.approx(before[other].median(), rel=0.05)
        assert now[other].median() == pytest.approx(before[one].median(), rel=0.05)


@pytest.mark.parametrize("seed", range(len(SMOOTH)))
def test_a_population_moves_by_the_share_of_a_standard_deviation_that_was_asked_for(
    seed: int,
) -> None:
    stream = changed("population", seed, reference=20_000, window=20_000, shift_sd=0.5, onset=3)
    (name,) = stream.truth.features
    before, now = stream.reference[name], stream.window[name]
    late = later(stream, START + timedelta(days=3))
    step = (np.nanmedian(now[late]) - np.nanmedian(before)) / np.nanstd(before)
    assert step == pytest.approx(0.5, abs=0.06)
    assert abs(np.nanmedian(now[~late]) - np.nanmedian(before)) < 0.06 * np.nanstd(before)
    assert np.array_equal(late, later(stream, stream.truth.since))
    low, high = FEATURES[name].entry["soft_range"]
    assert np.nanmin(now) >= low
    assert np.nanmax(now) <= high


def test_a_calm_stream_is_drawn_twice_from_one_population() -> None:
    stream = calm(5, reference=20_000, window=20_000)
    for name, before in stream.reference.items():
        now = stream.window[name]
        if name in CATEGORICAL:
            gap = (
                pd.Series(before)
                .value_counts(normalize=True, dropna=False)
                .sub(pd.Series(now).value_counts(normalize=True, dropna=False), fill_value=0)
            )
            assert gap.abs().max() < 0.02
        else:
            assert abs(np.isnan(before).mean() - np.isnan(now).mean()) < 0.02
            assert ks_2samp(before[~np.isnan(before)], now[~np.isnan(now)]).pvalue > 1e-4
    spread = np.histogram(stream.times, bins=DAYS)[0]
    assert spread.min() > 0.9 * 20_000 / DAYS


def test_the_same_seed_gives_the_same_stream_and_another_one_another() -> None:
    one, same, other = (changed("factor", seed, reference=50, window=50) for seed in (1, 1, 2))
    for name in FEATURES:
        pd.testing.assert_series_equal(pd.Series(one.window[name]), pd.Series(same.window[name]))
    assert not np.array_equal(one.times, other.times)


def document(**changes: Any) -> dict[str, Any]:
    cause = {"feature": "a", "kind": "factor", "is_bug": True, "detail": {"factor": 0.1}}
    facts = {
        "score": {"name": "score", "status": "green"},
        "features": [{"name": "a", "status": "red"}, {"name": "b", "status": "green"}],
        "multivariate": {"status": "yellow"},
        "causes": [cause | {"since": "2026-11-17T10:00:00+00:00"}],
    }
    return facts | changes


TRUTH = Truth("factor", {"a": {"factor": 0.1}}, SINCE)
RIGHT = Ours(red=True, alarm=True, joint=True, found=True, named=True, day=True, accused=False)


@pytest.mark.parametrize(
    ("said", "truth", "expected"),
    [
        (document(), TRUTH, RIGHT),
        (
            document(),
            Truth("factor", {"a": {"factor": 0.1}}, SINCE - timedelta(days=1)),
            {"day": False},
        ),
        (document(), Truth("factor", {"a": {"factor": 10.0}}, SINCE), {"named": 0, "day": 0}),
        (document(), Truth("stuck", {"a": {}}, SINCE), {"named": False, "day": False}),
        (document(causes=[]), TRUTH, {"named": False, "day": False}),
        (document(multivariate=None), TRUTH, {"joint": False}),
        (
            document(),
            Truth("factor", {"b": {}}, SINCE),
            {"found": 0, "named": 0, "day": 0, "accused": 1},
        ),
        (document(), Truth("none"), {"found": 0, "named": 0, "day": 0, "accused": 1}),
        (
            document(features=[{"name": "a", "status": "inconclusive"}], causes=[]),
            TRUTH,
            {"red": 0, "alarm": 0, "found": 0, "named": 0, "day": 0},
        ),
        (
            document(
                score={"name": "score", "status": "yellow"},
                features=[{"name": "a", "status": "green"}],
                causes=[],
            ),
            TRUTH,
            {"red": 0, "found": 0, "named": 0, "day": 0},
        ),
    ],
)
def test_a_document_is_held_against_the_truth(
    said: dict[str, Any], truth: Truth, expected: Ours | dict[str, Any]
) -> None:
    wanted = expected if isinstance(expected, Ours) else Ours(**{**vars(RIGHT), **expected})
    assert alarms_outcomes.ours(said, truth) == wanted


def test_another_tools_alarm_counts_where_the_change_was() -> None:
    answer = {"a": {"alarm": False}, "b": {"alarm": True}}
    assert alarms_outcomes.theirs(answer, TRUTH) == Theirs(alarm=True, found=False)
    assert alarms_outcomes.theirs(answer, Truth("nulls", {"b": {}})) == Theirs(True, True)
    assert alarms_outcomes.theirs({"error": "refused"}, TRUTH) is None


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (7, 200), (200, 200)])
def test_a_rates_interval_is_wilsons(hits: int, trials: int) -> None:
    facts = Rate.of([True] * hits + [False] * (trials - hits)).to_dict()
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert facts["low"] == pytest.approx(expected.low, abs=1e-9)
    assert facts["high"] == pytest.approx(expected.high, abs=1e-9)


def results(kind: Kind, **hits: int) -> Results:
    """A cell of 100 trials with as many hits of each outcome."""
    facts = {name: [number < hits.get(name, 0) for number in range(100)] for name in vars(RIGHT)}
    said = [Ours(**{name: facts[name][number] for name in facts}) for number in range(100)]
    return Results(Cell(kind, kind, 500, 50), said)


def test_the_verdict_tells_bad_luck_from_a_bound_that_is_broken() -> None:
    calm_cells = [results("none", alarm=1), results("none", alarm=7), results("none", alarm=1)]
    changed_cells = [
        results("population", found=60),
        results("nulls", named=100, day=100),
        results("stuck", named=96, day=91),
    ]
    everywhere, worst, found, named, dated = verdict(calm_cells, changed_cells)
    low, high = binomtest(7, 100).proportion_ci(method="wilson")
    assert everywhere.endswith("(at most 5%: reached)")
    assert everywhere.startswith("false alarms, all cells: 3.0%")
    assert f"7.0%, 95 % interval {low:.1%} to {high:.1%} (at most 5%: undecided" in worst
    assert found.endswith("(at least 90%: NOT reached)")
    assert named == (
        "bugs named right, worst kind: 96.0%, 95 % interval 90.2% to 98.4% (at least 95%: reached)"
    )
    assert "worst kind: 94.8%" in dated  # 91 of the 96 that were named


def test_the_cases_are_those_that_they_name() -> None:
    streams = {case.name: case.make(3) for case in CASES}
    outlier = streams["+0.5 sd and one 1e9"]
    assert np.sort(outlier.window["steady"])[-1] == 1e9
    step = np.median(outlier.window["steady"]) - np.median(outlier.reference["steady"])
    assert step == pytest.approx(7.5, abs=2)
    nulls = streams["nulls 5 % → 30 %"]
    shares = [np.isnan(side["patchy"]).mean() for side in (nulls.reference, nulls.window)]
    assert shares == pytest.approx([0.05, 0.30], abs=0.04)
    zeros = streams["zeros 90 % → 70 %"]
    shares = [(side["zeros"] == 0).mean() for side in (zeros.reference, zeros.window)]
    assert shares == pytest.approx([0.9, 0.7], abs=0.04)
    levels = pd.Series(streams["500 equal levels, no drift"].reference["place"]).value_counts()
    assert len(levels) == 500
    assert levels.max() < 45
    repeated = streams["50 entities × 20, no drift"]
    assert len(pd.DataFrame(repeated.window).drop_duplicates()) == 50
    assert len(repeated.times) == 1_000


@pytest.mark.benchmark
def test_it_runs_every_cell_and_case_and_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary, output = tmp_path / "tmp", tmp_path / "alarms.json"
    temporary.mkdir()
    command = [sys.executable, "-m", "benchmarks.alarms", "--trials", "1", "--others-trials", "0"]
    done = subprocess.run(
        [*command, "--json", str(output)],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []
    found = json.loads(output.read_text())
    assert len(found["cells"]) == len(CALM) + len(CHANGED)
    assert {cell["ours"]["alarm"]["trials"] for cell in found["cells"]} == {1}
    by_kind = {cell["cell"]["kind"]: cell["ours"] for cell in found["cells"]}
    assert by_kind.keys() == {"none", *DAMAGED}
    assert by_kind["unseen"]["named"]["hits"] == 1
    assert len(found["cases"]) == 9
    assert found["cases"]["constant 3.14 → 2.71"]["ours"]["right"]["hits"] == 1


def test_a_wrong_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        alarms.main(["--trials", "many"])
    assert ended.value.code == 2
    assert "expected a whole number" in capsys.readouterr().err
