"""Hundreds of moves of the champion, under load: no failed request, no mixed answer, no memory."""

import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.server import Script, Server, configured, wait_for
from tests.service.rows import cohort_rows, pipeline_scores

pytestmark = pytest.mark.incident

MODEL = "defasagem-risk"
OLD, NEW, THIRD = "v1.0.0", "v1.1.0", "v1.2.0"
ROLLBACK = ("rollback", "--reason", "drill")
CLIENTS_PER_SERVICE = 2
PAUSE_SECONDS = 0.02
REQUESTS = [slice(0, 1), slice(1, 8), slice(8, 38), slice(38, 40)]

# To start Python anew for each move would take longer than the moves.
_MOVER = """
import contextlib, io, json, sys, time
from registry.__main__ import main
for line in sys.stdin:
    said, error = io.StringIO(), io.StringIO()
    began = time.monotonic()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(error):
        code = main([*json.loads(line), "--json"])
    ended = time.monotonic()
    done = json.loads(said.getvalue() or "{}")
    facts = {"began": began, "ended": ended, "code": code, "error": error.getvalue()}
    print(json.dumps(done | facts), flush=True)
"""


class Mover(Script):
    """`python -m registry`, call after call in one process; times are of the monotonic clock,
    which all processes share."""

    def __init__(self, home: Path) -> None:
        super().__init__(_MOVER, home)

    def run(self, *arguments: str) -> dict[str, Any]:
        """The command's JSON with `began` and `ended`; a refusal fails the test."""
        done: dict[str, Any] = json.loads(self.tell(arguments))
        assert done["code"] == 0, f"{arguments}: {done['error']}"
        return done

    def resident(self) -> int:
        """How many workers have in memory what a rollback would go back to."""
        return int(self.run(*ROLLBACK, "--dry-run")["resident"])


def promotion(version: str) -> tuple[str, ...]:
    return ("promote", "--version", version, "--force", "--reason", "drill")


@dataclass(frozen=True)
class Answer:
    """What one request came to; `predictions` is what was said instead, where it failed."""

    port: int
    rows: slice
    sent: float
    received: float
    predictions: list[dict[str, Any]] | str

    @property
    def versions(self) -> set[str]:
        assert not isinstance(self.predictions, str), self.predictions
        return {one["model_version"] for one in self.predictions}


@contextmanager
def load(servers: Sequence[Server], rows: Sequence[dict[str, Any]]) -> Iterator[list[Answer]]:
    """Clients that send `REQUESTS` to each service, over and over; each pauses in between, so that
    two cores are not full."""
    answers: list[Answer] = []
    stop = threading.Event()

    def send(server: Server, first: int) -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=30) as client:
            number = first
            while not stop.wait(PAUSE_SECONDS):
                part = REQUESTS[number % len(REQUESTS)]
                number += 1
                sent = time.monotonic()
                try:
                    response = client.post("/predict", json={"instances": rows[part]})
                    good = response.status_code == 200
                    said = response.json() if good else f"{response.status_code} {response.text}"
                except httpx.HTTPError as error:
                    said = repr(error)
                answers.append(Answer(server.port, part, sent, time.monotonic(), said))

    clients = [
        threading.Thread(target=send, args=(server, number))
        for server in servers
        for number in range(CLIENTS_PER_SERVICE)
    ]
    for client in clients:
        client.start()
    try:
        yield answers
    finally:
        stop.set()
        for client in clients:
            client.join()


def assert_is_of_one_version(answer: Answer, truth: dict[str, tuple[NDArray[Any], float]]) -> None:
    """Version, scores and labels agree with what that version says when nothing is swapped."""
    (version,) = answer.versions
    scores, threshold = truth[version]
    given = np.array([one["risk_score"] for one in answer.predictions])  # type: ignore[index]
    np.testing.assert_allclose(given, scores[answer.rows], rtol=0, atol=1e-9)
    labels = [one["risk_label"] for one in answer.predictions]  # type: ignore[index]
    assert labels == [int(score >= threshold) for score in given]


def assert_is_of_its_time(answer: Answer, moves: Sequence[dict[str, Any]]) -> None:
    """A command that has ended has changed every worker: what is sent later is of its version, or
    of a move's that was under way."""
    ended = [move for move in moves if move["ended"] <= answer.sent]
    under_way = {
        move["to"]
        for move in moves
        if move["ended"] > answer.sent and move["began"] <= answer.received
    }
    standing = ended[-1]["to"] if ended else moves[0]["from"]
    assert answer.versions <= under_way | {standing}


def test_200_moves_under_load_fail_no_request_and_mix_no_answer(home: Path, tmp_path: Path) -> None:
    rows = cohort_rows(REQUESTS[-1].stop)
    truth = {}
    for version in (OLD, NEW):
        facts = json.loads((home / "models" / MODEL / version / "model.json").read_text())
        truth[version] = (pipeline_scores(home, version, rows), float(facts["threshold"]))
    assert np.abs(truth[OLD][0] - truth[NEW][0]).min() > 1e-6, "no answer could show a mixture"

    configuration = configured(tmp_path, workers=2, poll_ms=50)
    with ExitStack() as stack:
        mover = stack.enter_context(Mover(home))
        mover.run(*promotion(NEW))
        servers = [
            stack.enter_context(Server(home, DATATHON_CONFIGURATION=configuration))
            for _ in range(2)
        ]
        wait_for(lambda: mover.resident() == 4, 30)
        with load(servers, rows) as answers:
            moves = [mover.run(*move) for _ in range(100) for move in (ROLLBACK, promotion(NEW))]
        healths = [server.health() for server in servers]

    assert [move["to"] for move in moves] == [OLD, NEW] * 100
    assert {move["workers"] for move in moves} == {4}
    assert {move["resident"] for move in moves} == {4}
    assert [answer for answer in answers if isinstance(answer.predictions, str)] == []
    for answer in answers:
        assert_is_of_one_version(answer, truth)
        assert_is_of_its_time(answer, moves)
    for server in servers:
        seen = [answer.versions for answer in answers if answer.port == server.port]
        assert min(seen.count({OLD}), seen.count({NEW})) > 50
    slowest = max(move["seconds"] for move in moves)
    assert slowest < 1, f"a switch took {slowest} s"
    assert {(h["status"], h["generation"]) for h in healths} == {("ok", moves[-1]["generation"])}


def anonymous_mb(pid: int) -> float:
    """Memory that is of no file and that nobody shares: what a leak adds to."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Anonymous":
            return int(rest.split()[0]) / 1024
    raise AssertionError("the kernel does not tell")


def fifty_moves(mover: Mover, state: Path) -> None:
    """Three versions take turns, so that each is loaded, and let go, four times; then rollbacks and
    promotes between what is in memory."""
    for _ in range(4):
        for version in (THIRD, OLD, NEW):
            mover.run(*promotion(version))
    (beat,) = (state / "workers").glob("*.json")
    wait_for(lambda: json.loads(beat.read_text())["resident"] == [OLD, NEW], 10)
    for _ in range(19):
        assert mover.run(*ROLLBACK)["to"] == OLD
        mover.run(*promotion(NEW))


def test_memory_is_flat_over_500_moves(home: Path, tmp_path: Path) -> None:
    # The same bytes under another number are another version, and are loaded as one.
    models = home / "models" / MODEL
    shutil.copytree(models / OLD, models / THIRD)
    rows = cohort_rows(5)
    used = []
    with (
        Mover(home) as mover,
        Server(home, DATATHON_CONFIGURATION=configured(tmp_path, workers=1, poll_ms=5)) as server,
    ):
        (worker,) = server.workers()
        for _ in range(11):  # the first is the warm-up
            fifty_moves(mover, home / "registry")
            assert {server.predict(rows).status_code for _ in range(10)} == {200}
            used.append(anonymous_mb(worker))
        assert server.workers() == [worker]
        generation = server.health()["generation"]
    assert generation == 1 + 11 * 50
    assert used[-1] == pytest.approx(used[0], rel=0.05), f"MB after each 50 moves: {used}"
