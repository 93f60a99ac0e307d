"""Each incident reaches the webhook as its own alert and no other: two real services on one state,
a real Prometheus with shortened windows, and Alertmanager. What drills show is not repeated."""

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from monitoring.watching.stack import Stack
from tests.disks import mounted
from tests.incidents.listening import MARKS, SECONDS, Listener, meanwhile
from tests.server import Server, command, configured, wait_for
from tests.service.rows import cohort_rows

pytestmark = MARKS
NEVER_MS = 3_600_000
UPLOAD_SECONDS = 0.34  # between the limits of the two alerts about latency, nearer to the lower
PROMPT_PER_SLOW = 7  # so that p95 is above the upper only if a busy machine delays many of the slow


@dataclass(kw_only=True)
class Watched(Listener):
    """Two services on one state, the first of two workers; the second does not look at the pointer
    after its start."""

    home: Path
    first: Server
    second: Server

    def called(self) -> None:
        """Six hours without a prediction are three minutes here, and an incident of its own."""
        assert self.first.predict(cohort_rows(1)).status_code == 200

    def labels_come(self, rows: int, *, recall: float) -> None:
        """So many rows are predicted, and the labels that come give them this recall."""
        answers = self.first.predict(cohort_rows(rows)).json()
        flagged = sum(answer["risk_label"] for answer in answers)
        missed = round(flagged * (1 - recall) / recall)
        path = self.home.parent / "labels.csv"
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["prediction_id", "label"])
            for answer in answers:
                missing = not answer["risk_label"] and missed > 0
                missed -= missing
                writer.writerow([answer["prediction_id"], int(answer["risk_label"] or missing)])
        command(self.home, "monitoring.labels", "import", path)


def quiet(folder: Path, *, workers: int, poll_ms: int, label_delay_days: int = 90) -> str:
    """A configuration whose reports are made only when a test asks."""
    return configured(
        folder,
        workers=workers,
        poll_ms=poll_ms,
        watch={"refresh_seconds": 3600},
        performance={"label_delay_days": label_delay_days},
    )


def upload_slowly(client: httpx.Client) -> None:
    """One prediction whose request takes its time to arrive."""
    body = json.dumps({"instances": cohort_rows(1)}).encode()

    def parts() -> Iterator[bytes]:
        yield body[:1]
        time.sleep(UPLOAD_SECONDS)
        yield body[1:]

    headers = {"Content-Type": "application/json"}
    assert client.post("/predict", content=parts(), headers=headers).status_code == 200


@pytest.fixture(scope="module")
def watched(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("incidents")
    home = folder / "home"
    shutil.copytree(registered, home)
    forced = ["--force", "--reason", "so that there is a way back"]
    command(home, "registry", "promote", "--version", "v1.1.0", *forced)
    with ExitStack() as closing:
        closing.enter_context(mounted(home / "inference_log", megabytes=64))
        servers = []
        for name, workers, poll_ms in (("first", 2, 50), ("second", 1, NEVER_MS)):
            (folder / name).mkdir()
            path = quiet(folder / name, workers=workers, poll_ms=poll_ms)
            servers.append(closing.enter_context(Server(home, DATATHON_CONFIGURATION=path)))
        (folder / "watching").mkdir()
        targets = [f"127.0.0.1:{server.port}" for server in servers]
        stack = closing.enter_context(Stack(targets, folder / "watching"))
        stack.wait_scraped(SECONDS)
        first, second = servers
        found = Watched(home=home, first=first, second=second, stack=stack)
        wait_for(lambda: not stack.alerts(), SECONDS, lambda: str(stack.alerts()))
        yield found


def test_a_disk_that_is_almost_full(watched: Watched) -> None:
    since = watched.count
    filler = watched.home / "inference_log" / "filler"
    filler.write_bytes(bytes(62 * 1024 * 1024))
    watched.told("DatathonDiskFilling", "on-call", since)
    filler.unlink()
    watched.over()


def test_a_worker_that_hangs(watched: Watched) -> None:
    since = watched.count
    hung = watched.first.workers()[0]
    os.kill(hung, signal.SIGSTOP)
    try:
        watched.told("DatathonWorkerStuck", "on-call", since)
    finally:
        os.kill(hung, signal.SIGCONT)
    watched.over()


def test_a_pointer_that_is_lost(watched: Watched) -> None:
    since = watched.count
    (watched.home / "registry/champion.json").unlink()
    watched.told("DatathonDegraded", "on-call", since)
    command(watched.home, "registry", "verify")
    watched.over()


def test_labels_that_are_due_and_do_not_come(watched: Watched, tmp_path: Path) -> None:
    since = watched.count
    at_once = quiet(tmp_path, workers=1, poll_ms=50, label_delay_days=0)
    assert watched.first.predict(cohort_rows(100)).status_code == 200

    def refresh() -> None:
        command(watched.home, "monitoring.refresh", DATATHON_CONFIGURATION=at_once)

    refresh()
    with meanwhile(refresh, pause_seconds=5):  # or the reports are old before the hour is over
        watched.told("DatathonNoLabels", "data-team", since)
    watched.labels_come(40, recall=0.68)  # so few that they say nothing
    refresh()
    watched.over()


def test_recall_that_may_be_below_its_floor(watched: Watched) -> None:
    since = watched.count
    watched.labels_come(300, recall=0.68)  # of which chance explains 0.70
    command(watched.home, "monitoring.refresh")
    watched.told("DatathonRecallBreach", "tech-lead", since)
    watched.labels_come(300, recall=1.0)
    command(watched.home, "monitoring.refresh")
    watched.over()


def test_reports_that_are_old(watched: Watched) -> None:
    since = watched.count
    watched.called()
    watched.told("DatathonReportsStale", "on-call", since)
    command(watched.home, "monitoring.refresh")
    watched.over()


def test_workers_that_do_not_follow_the_pointer(watched: Watched) -> None:
    since = watched.count
    done = command(watched.home, "registry", "rollback", "--reason", "an incident", check=False)
    assert done.returncode == 7, done.stderr
    command(watched.home, "monitoring.refresh")
    watched.told("DatathonGenerationsDisagree", "on-call", since)
    watched.second.stop()
    watched.second.__enter__()
    watched.over(restarted=True)


def test_one_service_of_two_that_is_down(watched: Watched) -> None:
    since = watched.count
    watched.called()
    watched.second.stop()
    watched.told("DatathonDown", "on-call", since)
    watched.second.__enter__()
    watched.over()


def test_requests_that_take_long_to_arrive(watched: Watched) -> None:
    since, rows = watched.count, cohort_rows(1)

    def call() -> None:
        for _ in range(PROMPT_PER_SLOW):
            assert watched.first.predict(rows).status_code == 200
        upload_slowly(watched.first.client)

    with meanwhile(call, pause_seconds=0):
        watched.told("DatathonLatencyWarning", "on-call", since)
    watched.over()
