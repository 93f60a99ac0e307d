"""The log, the disk and the labels, by files of known size and time."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from monitoring import compact
from monitoring.status import scrape, storage
from monitoring.status.facts import Facts
from monitoring.status.judgement import judge
from registry.state import State
from serving.scrape import Scrape
from tests.monitoring.log.log_rows import DAY, record, write
from tests.monitoring.status.situations import HEALTH, IDLE, WELL


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "home")


def test_the_log_is_measured_and_its_newest_row_found(state: State) -> None:
    for day, text in (
        ("2026-11-20", '{"ts":"2026-11-20T10:00:00.000000Z"}\n'),
        (
            "2026-11-21",
            '{"ts":"2026-11-21T10:00:00.000000Z"}\n{"ts":"2026-11-21T23:59:59.5Z"}\n{"t',
        ),
    ):
        folder = state.inference_log / f"dt={day}"
        folder.mkdir(parents=True)
        (folder / "one.jsonl").write_text(text)
    (folder / "two.jsonl").write_text('{"ts":"2026-11-21T12:00:00.000000Z"}\n')
    (folder / "empty.jsonl").touch()
    found = storage.look(state, None)
    assert found.day == "2026-11-21"
    assert found.day_bytes == sum(path.stat().st_size for path in folder.iterdir()) > 0
    assert found.newest_row == datetime(2026, 11, 21, 23, 59, 59, 500_000, tzinfo=UTC)
    assert found.free_share is not None
    assert 0 < found.free_share < 1


def at(state: State, now: datetime) -> Facts:
    """A service that is well but for what lies under `state`."""
    return replace(
        WELL,
        now=now,
        health=replace(HEALTH, uptime_seconds=1e6),
        traffic=IDLE,
        storage=replace(storage.look(state, None), labels_at=None),
        settings=replace(WELL.settings, refresh_seconds=0.0),
    )


def compacted(state: State) -> None:
    compact.run(state, today=date(2026, 3, 2), include_today=False, dry_run=False)
    assert list(state.inference_log.rglob("*.jsonl")) == []


def test_silence_is_told_of_a_day_that_was_compacted(state: State) -> None:
    last = datetime(2026, 3, 1, 21, 30, 0, 5, UTC)
    stamps = [f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in (last, last - timedelta(hours=9))]
    write(state.inference_log, DAY, record(1, ts=stamps[0]), record(2, ts=stamps[1]))
    other = record(3, ts=stamps[1], model_version="v1.1.0", features={"ts": 1.5})
    write(state.inference_log, DAY, other, name="b")
    compacted(state)
    assert storage.look(state, None).newest_row == last
    (finding,) = judge(at(state, last + timedelta(hours=7)))
    assert finding.section == "DatathonNoPredictions"
    assert "No prediction for 7 h" in finding.sentence
    assert judge(at(state, last + timedelta(hours=5))) == ()


def test_a_compacted_file_that_cannot_be_read_is_as_old_as_its_day(state: State) -> None:
    write(state.inference_log, DAY, record(1))
    compacted(state)
    (part,) = state.inference_log.rglob("*.parquet")
    part.write_bytes(b"PAR1 damaged")
    assert storage.look(state, None).newest_row == datetime(2026, 3, 2, tzinfo=UTC)


def test_a_day_without_a_row_yet_is_not_the_newest_rows(state: State) -> None:
    write(state.inference_log, DAY, record(1))
    compacted(state)
    write(state.inference_log, "2026-03-02")
    found = storage.look(state, None)
    assert found.day == "2026-03-02"
    assert found.newest_row == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_fuller_disk_is_the_one_that_counts(state: State) -> None:
    state.home.mkdir()
    text = "datathon_log_disk_free_bytes 1\ndatathon_log_disk_size_bytes 1000\n"
    assert storage.look(state, scrape.parse(text)).free_share == 0.001
    text = "datathon_log_disk_free_bytes 1000\ndatathon_log_disk_size_bytes 1000\n"
    assert (storage.look(state, scrape.parse(text)).free_share or 1) < 1


def test_the_share_that_is_free_is_that_of_df_with_the_service_and_without(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that keeps something back for root tells the two ways of counting apart."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    state.home.mkdir()
    df = ["df", "-B1", "--output=avail,used", str(state.home)]
    text = subprocess.run(df, capture_output=True, text=True, check=True).stdout
    available, used = map(int, text.split()[-2:])
    exported = scrape.parse(Scrape(state, reports=False).beside().decode())
    free = exported.value("datathon_log_disk_free_bytes")
    size = exported.value("datathon_log_disk_size_bytes")
    assert free is not None
    assert size is not None
    assert free / size == pytest.approx(available / (available + used), abs=0.005)
    assert storage.look(state, None).free_share == pytest.approx(free / size, abs=0.005)


def test_a_log_that_cannot_be_read_is_told(state: State) -> None:
    state.home.mkdir()
    assert storage.look(state, None).problem is None
    state.inference_log.write_text("in the way")
    assert "Not a directory" in (storage.look(state, None).problem or "")


def test_labels_are_as_old_as_their_newest_file(state: State) -> None:
    assert storage.look(state, None).labels_at is None
    state.labels.mkdir(parents=True)
    for name, moment in (("a", 1_795_000_000), ("b", 1_795_341_601)):
        path = state.labels / f"{name}.parquet"
        path.touch()
        os.utime(path, (moment, moment))
    at = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
    assert storage.look(state, None).labels_at == at
    told = scrape.parse("datathon_label_timestamp_seconds 1795341602\n")
    assert storage.look(state, told).labels_at == at.replace(second=2)
