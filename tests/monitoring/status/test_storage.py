"""The log, the disk and the labels, by files of known size and time."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitoring.status import scrape, storage
from registry.state import State


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


def test_the_fuller_disk_is_the_one_that_counts(state: State) -> None:
    state.home.mkdir()
    text = "datathon_log_disk_free_bytes 1\ndatathon_log_disk_size_bytes 1000\n"
    assert storage.look(state, scrape.parse(text)).free_share == 0.001
    text = "datathon_log_disk_free_bytes 1000\ndatathon_log_disk_size_bytes 1000\n"
    assert (storage.look(state, scrape.parse(text)).free_share or 1) < 1


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
