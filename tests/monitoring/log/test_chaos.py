"""Services that are killed, compactions that are killed, a disk that is full: what was acknowledged
is in the log exactly once."""

import itertools
import multiprocessing
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pyarrow.parquet as pq
import pytest

from monitoring import compact
from monitoring.log.reading import LogReader, Query
from monitoring.log.writing import EntityKeys, InferenceLog, LogWriteError, ScoredRequest
from registry.schema import Feature, Schema
from registry.state import State
from registry.validation import ValidRow
from tests.disks import mounted
from tests.server import PROJECT

SCHEMA = Schema((Feature("age", "integer", "years"), Feature("kind", "category", "kind")))
ROUNDS = 20
WRITERS = 4

# A process that is forked where everything is imported starts in milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "pandas"])  # which Arrow loads late


def serve(root: Path, acknowledged: Path) -> None:
    """Log rows without end, and write down which were acknowledged, or that some were refused."""
    version: Any = SimpleNamespace(
        version="v1.0.0", schema=SCHEMA, schema_digest="s", threshold=0.5
    )
    answers = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = InferenceLog(root, EntityKeys("secret"))
    for count in itertools.count():
        names = [uuid.uuid4().hex for _ in range(1 + count % 7)]
        rows = [ValidRow((n, "a" * 50), f"entity {n}") for n, _ in enumerate(names)]
        request = ScoredRequest("r", names, version, rows, [0.5] * len(names))
        try:
            log.append([request], datetime.now(UTC))
        except LogWriteError:
            names = ["refused"]
        os.write(answers, "".join(f"{name}\n" for name in names).encode())
        time.sleep(0.005)


def compact_on_and_on(home: Path) -> None:
    os.environ["BENTOML_HOME"] = str(home)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        while compact.main(["--include-today"]) == 0:
            time.sleep(0.02)


def start(work: Callable[..., None], *arguments: Path) -> ForkServerProcess:
    process = PROCESSES.Process(target=work, args=arguments)
    process.start()
    return process


def kill(process: ForkServerProcess) -> None:
    process.kill()
    process.join()


def compacted(home: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "monitoring.compact", "--include-today"],
        cwd=PROJECT,
        env={**os.environ, "BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


def answered(folder: Path) -> list[str]:
    """What the services acknowledged until now; a line that a kill cut off is not."""
    names = []
    for path in folder.glob("*.acknowledged"):
        lines = path.read_text().split("\n")[:-1]
        names += [line for line in lines if line != "refused"]
    return names


def logged(root: Path) -> list[str]:
    now = datetime.now(UTC)
    query = Query("v1.0.0", now - timedelta(days=2), now + timedelta(days=1), ("age",), ids=True)
    found = [batch.ids for batch in LogReader(root, SCHEMA).batches(query)]
    return [name for ids in found if ids is not None for name in ids.prediction_ids]


def compacted_ids(root: Path) -> list[str]:
    """By Arrow alone."""
    paths = sorted(root.glob("dt=*/part-*/*.parquet"))
    tables = [pq.ParquetFile(path).read(["prediction_id"]) for path in paths]
    return [name for table in tables for name in table.column(0).to_pylist()]


def check_reader(root: Path, folder: Path) -> None:
    """What was acknowledged before the reader began is there, and nothing twice."""
    before = answered(folder)
    found = logged(root)
    assert len(found) == len(set(found))
    assert set(before) <= set(found)


def check_whole(home: Path, folder: Path) -> None:
    """After a last compaction: everything acknowledged is in the Parquet files, once."""
    code, stderr = compacted(home)
    assert (code, stderr) == (0, "")
    root, names = State(home).inference_log, answered(folder)
    for found in (logged(root), compacted_ids(root)):
        assert len(found) == len(set(found))
        assert set(names) <= set(found)
    left = [path for path in root.glob("dt=*/*") if not path.name.startswith("part-")]
    assert left == []


class Services:
    """Processes that serve; each has a file of its own for what it acknowledged."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._running: list[ForkServerProcess] = []
        self._names = itertools.count()

    def __enter__(self) -> Self:
        self._running = [self._start() for _ in range(WRITERS)]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            kill(process)

    def replace(self, place: int) -> None:
        """kill -9, and another one."""
        kill(self._running[place])
        self._running[place] = self._start()

    def _start(self) -> ForkServerProcess:
        return start(serve, self._root, self._folder / f"{next(self._names)}.acknowledged")


def wait_for_rows(folder: Path, more: int) -> None:
    wanted, deadline = len(answered(folder)) + more, time.monotonic() + 60
    while len(answered(folder)) < wanted:
        assert time.monotonic() < deadline, "the services do not log"
        time.sleep(0.01)


def test_services_and_compactions_are_killed_and_no_row_is_lost_or_twice(tmp_path: Path) -> None:
    chance = random.Random(3)
    root = State(tmp_path).inference_log
    interrupted = committed = 0
    with Services(root, tmp_path) as services:
        wait_for_rows(tmp_path, 100)
        for turn in range(ROUNDS):
            services.replace(chance.randrange(WRITERS))
            before = parts(root)
            process = start(compact_on_and_on, tmp_path)
            check_reader(root, tmp_path)
            if turn % 2:
                wait_for_part(root, before)
            time.sleep(chance.uniform(0.0, 0.1))
            kill(process)
            interrupted += any(root.glob("dt=*/.*.tmp"))
            committed += parts(root) > before
            check_reader(root, tmp_path)
    assert len(answered(tmp_path)) > 1000
    assert interrupted > 0
    assert committed >= ROUNDS // 2
    check_whole(tmp_path, tmp_path)


def parts(root: Path) -> int:
    return len(list(root.glob("dt=*/part-*")))


def wait_for_part(root: Path, before: int) -> None:
    deadline = time.monotonic() + 60
    while parts(root) <= before:
        assert time.monotonic() < deadline, "no compaction comes to its end"
        time.sleep(0.005)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    with mounted(tmp_path / "disk", megabytes=1) as folder:
        yield folder


def test_a_full_disk_refuses_rows_and_loses_none(small_disk: Path, tmp_path: Path) -> None:
    root = State(small_disk).inference_log
    with Services(root, tmp_path) as services:
        wait_until_refused(tmp_path)
        for place in range(WRITERS):
            services.replace(place)
        check_reader(root, tmp_path)
        code, stderr = compacted(small_disk)
        assert code == 1
        assert stderr.startswith("error: ")
        assert "No space left" in stderr
        assert stderr.count("\n") == 1
        assert list(root.glob("dt=*/part-*")) == list(root.glob("dt=*/.*")) == []
        check_reader(root, tmp_path)
        more = ["mount", "-o", "remount,size=64m", str(small_disk)]
        subprocess.run(more, check=True)
        code, stderr = compacted(small_disk)
        assert (code, stderr) == (0, "")
        wait_for_rows(tmp_path, 20)
        check_reader(root, tmp_path)
    check_whole(small_disk, tmp_path)


def wait_until_refused(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not all("refused" in path.read_text() for path in folder.glob("*.acknowledged")):
        assert time.monotonic() < deadline, "the disk does not fill"
        time.sleep(0.05)
