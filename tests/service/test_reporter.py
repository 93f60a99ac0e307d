"""The background reports of a service, where they are fine, fail, or may not be written."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from serving.reporter import Reporter
from tests.server import wait_for

WORDS = "error: /state/reports/latest: Permission denied"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logging.getLogger("bentoml").propagate = True  # whatever a test before did to it
    with caplog.at_level(logging.INFO, logger="bentoml"):
        yield caplog


def failures() -> float:
    return REGISTRY.get_sample_value("datathon_refresh_failures_total") or 0.0


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, times: int) -> None:
    """A reporter whose refreshes end with this code, until there were some."""
    runs = tmp_path / "runs"
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho run >> {runs}\necho '{WORDS}' >&2\nexit {code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    found = Reporter(0.01)
    found.start()
    try:
        wait_for(lambda: runs.exists() and runs.read_text().count("run") >= times, 30)
    finally:
        found.stop()


def test_who_may_not_write_reports_says_so_once_and_fails_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    before = failures()
    run(tmp_path, monkeypatch, 8, times=3)
    assert [(one.levelname, WORDS in one.getMessage()) for one in said.records] == [
        ("WARNING", True)
    ]
    assert failures() == before


def test_a_failure_is_counted_each_time_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    before = failures()
    run(tmp_path, monkeypatch, 6, times=3)
    assert [one.levelname for one in said.records] == ["ERROR"]
    assert failures() >= before + 2
