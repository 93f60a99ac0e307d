"""Commands that root runs on somebody else's state, as from cron: whose the state is goes on
reading and writing all of it."""

import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitoring.watching.ports import free_port
from registry.state import State
from tests.monitoring.streams import SECRET, load, log_rows, spread
from tests.server import PROJECT, command, environment, wait_for
from tests.service.rows import cohort_rows
from tests.service.switching import NEW, OLD, promotion
from tests.service.test_start import start
from tests.unprivileged import AS_OWNER, NOBODY

pytestmark = pytest.mark.slow

START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=7)
WEEK = ("--from", f"{START:%F}", "--to", f"{START + timedelta(days=6):%F}", "--json")
ROWS = 400
REPORTS = ("monitoring.drift_report", "monitoring.performance_drift")
PARTS = "inference_log/dt=*/part-*/"
DENIED = "belongs to {}, and {} may not read it; nothing is damaged: {}"
THIRD = 12345


class Owned:
    """A state that belongs to NOBODY, and whoever runs commands on it."""

    def __init__(self, home: Path, ids: list[str]) -> None:
        self.home = home
        self.ids = ids

    def as_root(self, *words: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return command(self.home, *words, check=check, DATATHON_ENTITY_SECRET=SECRET)

    def as_owner(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return self._as(AS_OWNER, *words)

    def as_third(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return self._as([word.replace(str(NOBODY), str(THIRD)) for word in AS_OWNER], *words)

    def _as(self, who: list[str], *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*who, sys.executable, "-m", *map(str, words)],
            cwd=PROJECT,
            env=environment(self.home, HOME=str(self.home), DATATHON_ENTITY_SECRET=SECRET),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def labels(self, first: int, last: int) -> Path:
        """A file of labels about some predictions."""
        path = self.home.parent / f"labels-{first}.csv"
        lines = [f"{self.ids[number]},{int(number % 3 == 0)}" for number in range(first, last)]
        path.write_text("\n".join(["prediction_id,label", *lines]) + "\n")
        return path

    def not_the_owners(self) -> list[str]:
        """What does not belong to the owner and the owner's group."""
        return [
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if (path.lstat().st_uid, path.lstat().st_gid) != (NOBODY, NOBODY)
        ]


def give(path: Path, user: int) -> None:
    """`chown -R`."""
    for one in (path, *path.rglob("*")):
        os.lchown(one, user, user)


def numbers(document: str) -> dict[str, Any]:
    """A report without when it was made."""
    return {name: value for name, value in json.loads(document).items() if name != "made_at"}


@pytest.fixture
def owned(registered: Path) -> Iterator[Owned]:
    """A champion and a week of predictions, in a place that everybody may go to."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to run commands as two users")
    probe = [*AS_OWNER, sys.executable, "-c", "import monitoring.refresh"]
    done = subprocess.run(probe, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"another user may not run this Python here: {done.stderr}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        shutil.copytree(registered, home)
        rows = cohort_rows(ROWS, seed=1)
        rows = [row | {"entity_id": f"pupil-{number}"} for number, row in enumerate(rows)]
        give(home, NOBODY)
        yield Owned(home, log_rows(home, load(home), rows, spread(ROWS, 7, START)))


def test_what_root_makes_belongs_to_whose_the_state_is(owned: Owned) -> None:
    first, second = owned.labels(0, 200), owned.labels(200, 300)
    assert owned.not_the_owners() == []  # what was logged by a service of root's
    owned.as_root("monitoring.labels", "import", first)
    owned.as_root("monitoring.lookup", "--request_id", "r-7")
    owned.as_root("monitoring.forget", "--entity", "pupil-3")
    made = [owned.as_root(report, *WEEK, check=False).stdout for report in REPORTS]
    owned.as_root("monitoring.compact")
    owned.as_root("monitoring.refresh")
    owned.as_root("monitoring.forget", "--entity", "pupil-5", "--dry-run")
    assert list(owned.home.glob(PARTS + "part.json"))
    assert list(owned.home.glob("reports/latest/*"))
    assert owned.not_the_owners() == []
    assert {path.stat().st_mode & 0o777 for path in owned.home.glob(PARTS + "*.*")} == {0o640}

    again = [owned.as_owner(report, *WEEK) for report in REPORTS]
    assert [done.stderr for done in again] == ["", ""]
    assert [numbers(done.stdout) for done in again] == [*map(numbers, made)]
    assert numbers(made[0])["rows"] == ROWS - 1
    assert numbers(made[1])["labels"]["labelled"] == 199
    for words in (
        ("monitoring.labels", "import", second),
        ("monitoring.forget", "--entity", "pupil-5"),
        ("monitoring.compact", "--include-today"),
        ("monitoring.refresh",),
        ("monitoring.lookup", "--request_id", "r-7"),
    ):
        done = owned.as_owner(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    status = owned.as_owner("monitoring.status", "--json")
    assert json.loads(status.stdout)["storage"]["problem"] is None
    assert "ermission" not in status.stdout + status.stderr


def test_who_owns_the_state_goes_on_from_what_root_registered_and_promoted(
    owned: Owned, registered: Path
) -> None:
    made = "v1.9.0"
    owned.as_root("registry", "register", "--version", made, "--artifacts", registered.parent / NEW)
    for version in (OLD, NEW):
        owned.as_root("registry", *promotion(version))
    assert owned.not_the_owners() == []
    for words in (
        ("shadow", "--version", made),
        ("promote", "--version", made),  # judged on the held-out rows, on which they are alike
        ("rollback", "--reason", "drill"),
        ("verify",),
    ):
        done = owned.as_owner("registry", *words)
        assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.parametrize(
    ("roots", "report"),
    [
        (PARTS + "part.json", "monitoring.drift_report"),
        (PARTS + "*.parquet", "monitoring.drift_report"),
        ("labels/*.parquet", "monitoring.performance_drift"),
    ],
)
def test_a_file_that_is_not_to_be_read_is_no_damage_and_the_remedy_helps(
    owned: Owned, roots: str, report: str
) -> None:
    owned.as_root("monitoring.labels", "import", owned.labels(0, 200))
    owned.as_root("monitoring.compact")
    before = owned.as_owner(report, *WEEK)
    denied = sorted(owned.home.glob(roots))
    for path in denied:
        os.chown(path, 0, 0)
        path.chmod(0o640)
    done = owned.as_owner(report, *WEEK)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {denied[0]}: belongs to root, and ")
    folder = owned.home / roots.split("/")[0]
    assert line.endswith(f"nothing is damaged: as root, run `chown -R {NOBODY}:{NOBODY} {folder}`")
    refreshed = owned.as_owner("monitoring.refresh")
    assert (refreshed.returncode, line in refreshed.stderr) == (1, True)
    assert "failing" in State(owned.home).report_metrics.read_text()

    subprocess.run(shlex.split(line.split("`")[1]), check=True)
    assert numbers(owned.as_owner(report, *WEEK).stdout) == numbers(before.stdout)
    assert owned.as_owner("monitoring.refresh").returncode == 0


def test_who_is_not_the_owner_is_told_who_is(owned: Owned) -> None:
    owned.as_root("monitoring.compact")
    give(owned.home, THIRD)
    done = owned.as_owner("monitoring.drift_report", *WEEK)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"nothing is damaged: run this as uid {THIRD}\n")


def test_nobody_is_told_to_take_the_log_from_a_service_in_a_state_of_roots(owned: Owned) -> None:
    service = pwd.getpwuid(NOBODY).pw_name
    for roots, who in (("", service), ("inference_log", "root")):
        os.chown(owned.home / roots, 0, 0)
        done = owned.as_third("monitoring.drift_report", *WEEK)
        assert (done.returncode, done.stdout) == (1, "")
        remedy = f"run this as {who}\n"
        assert done.stderr.endswith(DENIED.format(service, f"uid {THIRD}", remedy))


@pytest.mark.parametrize(
    ("hidden", "mode", "words"),
    [
        ("inference_log", 0o711, ("monitoring.drift_report", *WEEK)),
        ("inference_log/dt=*", 0o700, ("monitoring.drift_report", *WEEK)),
        ("inference_log/dt=*", 0o711, ("monitoring.compact", "--dry-run")),
        ("inference_log/dt=*/part-*", 0o711, ("monitoring.drift_report", *WEEK)),
        ("labels", 0o700, ("monitoring.performance_drift", *WEEK)),
        ("labels", 0o711, ("monitoring.forget", "--entity", "pupil-3", "--dry-run")),
    ],
)
def test_a_folder_that_is_not_to_be_read_is_not_an_empty_one(
    owned: Owned, hidden: str, mode: int, words: tuple[str, ...]
) -> None:
    owned.as_root("monitoring.labels", "import", owned.labels(0, 200))
    if "part" in hidden:
        owned.as_root("monitoring.compact")
    folder = sorted(owned.home.glob(hidden))[-1]
    os.chown(folder, 0, 0)
    folder.chmod(mode)
    done = owned.as_owner(*words)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert str(folder) in line
    assert DENIED.format("root", pwd.getpwuid(NOBODY).pw_name, "") in line


def test_rows_are_shown_where_labels_are_not_to_be_read(owned: Owned) -> None:
    owned.as_root("monitoring.labels", "import", owned.labels(0, 200))
    (owned.home / "labels").chmod(0o700)
    os.chown(owned.home / "labels", 0, 0)
    done = owned.as_owner("monitoring.lookup", "--prediction_id", owned.ids[0], "--json")
    (row,) = map(json.loads, done.stdout.splitlines())
    assert (row["prediction_id"], row["label"], row["observed_at"]) == (owned.ids[0], None, None)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, f"{owned.home / 'labels'}: belongs to root" in line) == (1, True)


def test_a_pointer_that_is_not_to_be_read_is_not_set_aside(owned: Owned) -> None:
    pointer, history = State(owned.home).champion, State(owned.home).history
    content = pointer.read_bytes()
    history.unlink()
    os.chown(pointer, 0, 0)
    pointer.chmod(0o600)
    done = owned.as_owner("registry", "verify")
    assert (done.returncode, "champion.json: Permission denied" in done.stdout) == (6, True)
    assert pointer.read_bytes() == content
    assert not list(pointer.parent.glob("*.damaged*"))


def test_what_a_killed_start_of_roots_leaves_is_the_owners(owned: Owned, tmp_path: Path) -> None:
    state = State(owned.home)
    for gone in (owned.home / "models", owned.home / "bentos", state.held_out):
        shutil.rmtree(gone)
    for pointer in (state.champion, state.history):
        pointer.unlink()
    process = start(owned.home, free_port(), tmp_path / "output")
    try:
        wait_for(lambda: any(state.staging.glob("v*/*")), 60, (tmp_path / "output").read_text)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    left = [state.registry / "first-artifacts", *state.staging.iterdir()]
    assert [(path.stat().st_uid, path.stat().st_gid) for path in left] == [(NOBODY, NOBODY)] * 2
