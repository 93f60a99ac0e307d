"""Failures that come and go, and silence: what is told after hours at night, after seconds here."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitoring.drills import versions
from monitoring.watching.rules import Pace
from monitoring.watching.stack import Stack
from tests.incidents.listening import MARKS, SECONDS, Listener, meanwhile
from tests.server import Server, command, configured
from tests.service.rows import cohort_rows

pytestmark = MARKS
HOURS_AS_SECONDS = Pace(factor=1200, scrape_seconds=0.5)
"""Six hours are 18 s; for the alerts about failures that is too short to come and go in."""


@pytest.fixture(scope="module")
def server(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose champion raises on a level that is new."""
    folder = tmp_path_factory.mktemp("budgets")
    home = folder / "home"
    shutil.copytree(registered, home)
    versions.raising(registered.parent / "v1.0.0", folder / "raising")
    words = ["--version", "v1.2.0", "--artifacts", str(folder / "raising")]
    command(home, "registry", "register", *words)
    command(home, "registry", "promote", "--version", "v1.2.0", "--force", "--reason", "t")
    no_reports = configured(folder, watch={"refresh_seconds": 0})  # so that none is old
    with Server(home, DATATHON_CONFIGURATION=no_reports) as running:
        yield running


@pytest.fixture(scope="module")
def listener(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    with Stack(f"127.0.0.1:{server.port}", tmp_path_factory.mktemp("stack")) as stack:
        stack.wait_scraped(SECONDS)
        yield Listener(stack=stack)


def bursts(server: Server, *, seconds: float, share: float) -> Callable[[], None]:
    """Requests that are answered; and once in so many seconds, all at once, so many that fail that
    they are this share."""
    good = cohort_rows(1)
    bad = [good[0] | {"instituicao": "Federal"}]
    due, answered = time.monotonic() + seconds, 0

    def call() -> None:
        nonlocal due, answered
        assert server.predict(good).status_code == 200
        answered += 1
        if time.monotonic() > due:
            for _ in range(round(answered * share / (1 - share))):
                assert server.predict(bad).status_code == 500
            due, answered = due + seconds, 0

    return call


def test_failures_that_come_and_go_for_a_day(server: Server, listener: Listener) -> None:
    """Half an hour is 15 s: a burst is in each, two or three are in an hour."""
    since = listener.count
    with meanwhile(bursts(server, seconds=12, share=0.045), pause_seconds=0.05):
        listener.told("DatathonBudgetSlow", "tech-lead", since, seconds=2 * SECONDS)
    listener.over()


def test_failures_that_come_and_go_for_an_hour(server: Server, listener: Listener) -> None:
    """A quarter of an hour is 7.5 s. DatathonErrors waits for 5 s without an end."""
    since = listener.count
    with meanwhile(bursts(server, seconds=7, share=0.2), pause_seconds=0.05):
        listener.told("DatathonBudgetFast", "on-call", since, seconds=2 * SECONDS)
    listener.over()


def test_no_predictions(server: Server, tmp_path: Path) -> None:
    with Stack(f"127.0.0.1:{server.port}", tmp_path, pace=HOURS_AS_SECONDS) as stack:
        stack.wait_scraped(SECONDS)
        listener = Listener(stack=stack)
        assert server.predict(cohort_rows(1)).status_code == 200
        listener.told("DatathonNoPredictions", "tech-lead", 0)
        assert server.predict(cohort_rows(1)).status_code == 200
        listener.over()
