"""The challenger's queue and thread: what is scored, dropped and failed, and who notices."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from monitoring.log.writing import EntityKeys, InferenceLog
from registry.configuration import ShadowSettings
from registry.loaded import LoadedVersion
from registry.schema import Feature, Schema
from registry.validation import ValidRow
from serving import shadow
from serving.shadow import CHUNK_ROWS, Shadow
from serving.traffic import Traffic
from tests.server import wait_for
from tests.service.challengers import CHAMPION, Broken, Scorer, exchange, version

KEYS = EntityKeys("a secret of these tests")
RESULTS = ("scored", "dropped", "failed")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "GATHER_SECONDS", 0.02)


@pytest.fixture
def counted() -> Callable[[], dict[str, float]]:
    """Rows counted since the test began."""

    def now() -> dict[str, float]:
        name = "datathon_shadow_rows_total"
        return {r: REGISTRY.get_sample_value(name, {"result": r}) or 0.0 for r in RESULTS}

    before = now()
    return lambda: {result: count - before[result] for result, count in now().items()}


Counted = Callable[[], dict[str, float]]
Make = Callable[..., Shadow]


@pytest.fixture
def traffic() -> Traffic:
    """Of the worker; nobody comes."""
    return Traffic()


@pytest.fixture
def make(tmp_path: Path, traffic: Traffic) -> Iterator[Make]:
    """Shadows of one worker each, ended with the test."""
    made = []

    def new(challenger: LoadedVersion | None, *, rows: int = 5000, share: float = 1.0) -> Shadow:
        worker = SimpleNamespace(challenger=challenger)
        log = InferenceLog(tmp_path / "log", KEYS)
        settings = ShadowSettings(queue_rows=rows, time_share=share)
        made.append(Shadow(worker, log, settings, traffic=traffic))
        return made[-1]

    yield new
    for one in made:
        if one._thread.is_alive():
            one.stop()


def records(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "log").glob("dt=*/*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_scores_stand_in_the_log_as_the_answers_do(
    tmp_path: Path, make: Make, counted: Counted
) -> None:
    challenger = version("v1.1.0", Scorer())
    one, other = exchange(40, 60, entity="maria"), exchange(70)
    running = make(challenger)
    running.start()
    running.offer(one)
    running.offer(other)
    wait_for(lambda: counted()["scored"] == 3, 5)
    assert [
        (r["prediction_id"], r["risk_score"], r["risk_label"], r["features"], r["period"])
        for r in records(tmp_path)
    ] == [
        (f"{one.prefix}-0", 0.4, 0, {"x": 40.0, "y": 0.0}, 2026),
        (f"{one.prefix}-1", 0.6, 1, {"x": 60.0, "y": 0.0}, 2026),
        (f"{other.prefix}-0", 0.7, 1, {"x": 70.0, "y": 0.0}, None),
    ]
    assert [r["entity"] for r in records(tmp_path)] == [KEYS.key("maria")] * 2 + [None]
    assert {(r["model_version"], r["request_id"]) for r in records(tmp_path)} == {("v1.1.0", "r")}
    assert counted() == {"scored": 3, "dropped": 0, "failed": 0}


def test_a_full_queue_drops_whole_requests_and_counts_their_rows(
    tmp_path: Path, make: Make, counted: Counted
) -> None:
    waiting = make(version("v1.1.0", Scorer()), rows=10)
    offered = [exchange(*[1.0] * rows) for rows in (4, 4, 8, 2, 1)]
    for one in offered:
        waiting.offer(one)
    assert counted() == {"scored": 0, "dropped": 3, "failed": 0}
    waiting.start()
    wait_for(lambda: counted()["scored"] == 16, 5)
    kept = offered[:3]  # the last of them overfills it, as large requests must not be left out
    expected = [one.prediction_id(n) for one in kept for n in range(len(one.rows))]
    assert [record["prediction_id"] for record in records(tmp_path)] == expected
    waiting.offer(offered[4])  # there is room again
    wait_for(lambda: counted()["scored"] == 17, 5)


def test_the_event_loop_never_waits_for_the_challenger(make: Make, counted: Counted) -> None:
    """The thread is in the middle of a chunk that does not end."""
    inside, go_on = threading.Event(), threading.Event()

    def stuck() -> None:
        inside.set()
        go_on.wait(30)

    running = make(version("v1.1.0", Scorer(first=stuck)), rows=1000)
    running.start()
    running.offer(exchange(1))
    assert inside.wait(5)
    began = time.monotonic()
    for _ in range(3000):
        running.offer(exchange(1))
    assert time.monotonic() - began < 1
    assert counted()["dropped"] == 2000
    go_on.set()
    wait_for(lambda: counted()["scored"] == 1001, 5)


def test_a_long_request_is_scored_in_chunks(tmp_path: Path, make: Make) -> None:
    scorer = Scorer()
    running = make(version("v1.1.0", scorer))
    long = exchange(*(n / 10 for n in range(900)))
    running.offer(exchange(1))
    running.offer(long)
    running.start()
    running.stop()
    assert scorer.sizes == [CHUNK_ROWS] * 3 + [901 - 3 * CHUNK_ROWS]
    found = [(r["prediction_id"], r["risk_score"]) for r in records(tmp_path)[1:]]
    assert found == [(long.prediction_id(n), n / 10 / 100) for n in range(900)]


def test_the_share_of_time_is_kept(make: Make, counted: Counted) -> None:
    scorer = Scorer(seconds=0.03)
    running = make(version("v1.1.0", scorer), share=0.2)
    for _ in range(6):
        running.offer(exchange(*[1.0] * CHUNK_ROWS))
    running.start()
    wait_for(lambda: counted()["scored"] == 6 * CHUNK_ROWS, 20)
    spans = scorer.spans
    busy = sum(end - began for began, end in spans[:-1])
    assert busy / (spans[-1][0] - spans[0][0]) <= 0.2


def test_rows_gather_before_they_are_scored(
    make: Make, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "GATHER_SECONDS", 0.4)
    scorer = Scorer()
    running = make(version("v1.1.0", scorer))
    running.start()
    for _ in range(20):
        running.offer(exchange(1))
        time.sleep(0.01)
    wait_for(lambda: counted()["scored"] == 20, 5)
    assert scorer.sizes == [20]


def test_it_stands_back_until_the_requests_that_it_met_are_few(
    make: Make, counted: Counted, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three meet the first chunk, one of which came before it; others come all the time."""
    monkeypatch.setattr(shadow, "REQUESTS_A_MEETING", 100)
    # Else requests that come 20 ms apart, as on a busy machine, are taken for none.
    monkeypatch.setattr(shadow, "GATHER_SECONDS", 1.0)

    def meet() -> None:
        traffic.came += 2

    traffic.came = 1
    running = make(version("v1.1.0", Scorer(first=meet)))
    running.offer(exchange(*[1.0] * CHUNK_ROWS))
    running.offer(exchange(*[1.0] * CHUNK_ROWS))
    running.start()
    wait_for(lambda: counted()["scored"] == CHUNK_ROWS, 5)
    due = 3 * shadow.REQUESTS_A_MEETING
    while traffic.left < due - 10:
        traffic.came += 10
        traffic.left += 10
        time.sleep(0.002)
    assert counted()["scored"] == CHUNK_ROWS
    traffic.left += 10
    wait_for(lambda: counted()["scored"] == 2 * CHUNK_ROWS, 5)


def test_where_nobody_comes_any_more_it_goes_on(
    make: Make, counted: Counted, traffic: Traffic
) -> None:
    def meet() -> None:
        traffic.came += 1

    running = make(version("v1.1.0", Scorer(first=meet)))
    for _ in range(3):
        running.offer(exchange(*[1.0] * CHUNK_ROWS))
    running.start()
    wait_for(lambda: counted()["scored"] == 3 * CHUNK_ROWS, 5)
    assert traffic.left == 0


def test_another_schema_takes_the_rows_by_name(
    tmp_path: Path, make: Make, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    """Another order, an optional feature that nobody sends, and a narrower range."""
    theirs = Schema(
        (
            Feature("y", "number", "another", hard_range=(0, 10)),
            Feature("new", "category", "nobody sends it", optional=True),
            Feature("x", "number", "a number"),
        )
    )
    running = make(version("v1.1.0", Scorer(), theirs))
    fits, mixed = exchange(1, 2, y=5.0, entity="maria"), exchange(3, 4, y=1.0)
    mixed.rows[0] = ValidRow((3.0, 77.25), None, None)
    running.offer(fits)
    running.offer(mixed)
    running.start()
    running.stop()
    found = {r["prediction_id"]: (r["features"], r["risk_score"]) for r in records(tmp_path)}
    assert found == {
        fits.prediction_id(0): ({"y": 5.0, "new": None, "x": 1.0}, 0.05),
        fits.prediction_id(1): ({"y": 5.0, "new": None, "x": 2.0}, 0.05),
        mixed.prediction_id(1): ({"y": 1.0, "new": None, "x": 4.0}, 0.01),
    }
    assert [r["entity"] for r in records(tmp_path)] == [KEYS.key("maria")] * 2 + [None]
    assert counted() == {"scored": 3, "dropped": 0, "failed": 1}
    (entry,) = caplog.records
    assert "v1.1.0" in entry.getMessage()
    assert "y (range)" in entry.getMessage()
    assert "77.25" not in repr(vars(entry)), "a value about a person reached the log"


def test_a_required_feature_that_nobody_sends_fails_every_row(
    tmp_path: Path, make: Make, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = Schema((Feature("new", "number", "nobody sends it"),))
    running = make(version("v1.1.0", Scorer(), theirs))
    for _ in range(3):
        running.offer(exchange(1, 2))
    running.start()
    running.stop()
    assert counted() == {"scored": 0, "dropped": 0, "failed": 6}
    assert records(tmp_path) == []
    assert len(caplog.records) == 1


@pytest.mark.parametrize("how", ["raises", "short", "nan"])
def test_a_challenger_that_fails_is_said_once_and_harms_nobody(
    tmp_path: Path, make: Make, counted: Counted, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    broken = Broken()
    broken.how = how
    running = make(version("v1.1.0", broken))
    running.start()
    for number in range(1, 4):
        running.offer(exchange(1, 2))
        wait_for(lambda number=number: counted()["failed"] == 2 * number, 5)
    (entry,) = caplog.records
    assert entry.levelname == "ERROR"
    assert "v1.1.0" in entry.getMessage()
    assert "Maria" not in repr(vars(entry)), "a value about a person reached the log"
    broken.how = "recovers"
    running.offer(exchange(1, 2))
    wait_for(lambda: counted()["scored"] == 2, 5)
    assert len(records(tmp_path)) == 2


def test_a_log_that_cannot_be_written_fails_the_rows_until_it_can(
    tmp_path: Path, make: Make, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("in the way")
    running = make(version("v1.1.0", Scorer()))
    running.start()
    for number in range(1, 4):
        running.offer(exchange(1))
        wait_for(lambda number=number: counted()["failed"] == number, 5)
    assert [entry.levelname for entry in caplog.records] == ["ERROR"]
    (tmp_path / "log").unlink()
    running.offer(exchange(2))
    wait_for(lambda: counted()["scored"] == 1, 5)
    assert len(records(tmp_path)) == 1


def test_without_a_challenger_of_its_own_nothing_waits(make: Make, counted: Counted) -> None:
    for challenger in (None, replace(CHAMPION, scorer=Scorer())):
        idle = make(challenger)
        idle.offer(exchange(1))
        assert idle.rows_waiting == 0
    assert counted() == {"scored": 0, "dropped": 0, "failed": 0}


def test_rows_whose_challenger_is_taken_out_meanwhile_are_dropped(
    tmp_path: Path, counted: Counted
) -> None:
    worker = SimpleNamespace(challenger=version("v1.1.0", Scorer()))
    ended = Shadow(
        worker, InferenceLog(tmp_path / "log", KEYS), ShadowSettings(), traffic=Traffic()
    )
    ended.offer(exchange(1, 2))
    worker.challenger = None
    ended.start()
    ended.stop()
    assert counted() == {"scored": 0, "dropped": 2, "failed": 0}


def test_a_stop_scores_what_it_can_in_a_second_and_drops_the_rest(
    tmp_path: Path, make: Make, counted: Counted
) -> None:
    running = make(version("v1.1.0", Scorer(seconds=0.4)), share=0.01)
    running.start()
    for _ in range(12):
        running.offer(exchange(*[1.0] * CHUNK_ROWS))
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 2.5
    assert not running._thread.is_alive()
    found = counted()
    assert 2 * CHUNK_ROWS <= found["scored"] <= 5 * CHUNK_ROWS
    assert found["scored"] + found["dropped"] == 12 * CHUNK_ROWS
    assert len(records(tmp_path)) == found["scored"]
    running.offer(exchange(1))
    assert counted()["dropped"] == found["dropped"] + 1
