"""Batches: whole requests, at most the limit, in order, and a failure that stays with its own."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from registry.validation import ValidRow
from serving.batcher import Batcher
from serving.exchange import Exchange


def request(rows: int, name: str = "r") -> Exchange:
    return Exchange(name, rows=[ValidRow((float(n),), None) for n in range(rows)])


class Recorder:
    """Scores with the row's own value; the first batch waits until `go` is set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, batch: Sequence[Exchange]) -> None:
        assert self.go.wait(10)
        self.batches.append([len(exchange.rows) for exchange in batch])
        for exchange in batch:
            exchange.scores = [cast(float, row.values[0]) for row in exchange.rows]


async def submit_all(
    batcher: Batcher, recorder: Recorder, requests: list[Exchange]
) -> list[Exchange]:
    """Submit the first, and while it is being scored all the others."""
    tasks = [asyncio.create_task(batcher.submit(one)) for one in requests]
    await asyncio.sleep(0)  # every task has queued its request
    recorder.go.set()
    await asyncio.gather(*tasks)
    return requests


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([1], [[1]]),
        ([1, 2, 3, 4], [[1, 2, 3, 4]]),
        ([1, 6, 4, 1], [[1, 6], [4, 1]]),
        ([10, 10, 1], [[10], [10], [1]]),
        ([9, 2, 9], [[9], [2], [9]]),
    ],
)
def test_whole_requests_are_merged_in_order_up_to_the_limit(
    sizes: list[int], batches: list[list[int]]
) -> None:
    recorder = Recorder()

    async def scenario() -> list[Exchange]:
        batcher = Batcher(recorder, max_rows=10)
        return await submit_all(batcher, recorder, [request(size) for size in sizes])

    done = asyncio.run(scenario())
    assert recorder.batches == batches
    for exchange, size in zip(done, sizes, strict=True):
        assert exchange.scores == [float(n) for n in range(size)]


def test_a_request_that_nobody_waits_for_any_more_is_not_scored() -> None:
    recorder = Recorder()

    async def scenario() -> None:
        batcher = Batcher(recorder, max_rows=10)
        first = asyncio.create_task(batcher.submit(request(1)))
        await asyncio.sleep(0.05)
        gone = asyncio.create_task(batcher.submit(request(2)))
        stays = asyncio.create_task(batcher.submit(request(3)))
        await asyncio.sleep(0)
        gone.cancel()
        recorder.go.set()
        await asyncio.gather(first, stays)

    asyncio.run(scenario())
    assert recorder.batches == [[1], [3]]


def test_each_request_of_a_batch_that_raises_has_a_line_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def predict(batch: Sequence[Any]) -> None:
        assert go.wait(10)
        raise OSError("no")

    async def scenario() -> None:
        batcher = Batcher(predict, max_rows=10)
        tasks = [
            asyncio.create_task(batcher.submit(request(1, name))) for name in ("first", "a", "b")
        ]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)

    go = threading.Event()
    logging.getLogger("bentoml").propagate = True  # whatever a test before did to it
    before = REGISTRY.get_sample_value("datathon_errors_total", {"type": "OSError"}) or 0.0
    asyncio.run(scenario())
    told = [(one.levelname, one.__dict__["failed_request"]) for one in caplog.records]
    assert sorted(told) == [("ERROR", "a"), ("ERROR", "b"), ("ERROR", "first")]
    after = REGISTRY.get_sample_value("datathon_errors_total", {"type": "OSError"})
    assert after == before + 1  # exceptions, not requests


def test_a_batch_that_raises_fails_its_own_requests_and_the_next_goes_on() -> None:
    def predict(batch: Sequence[Any]) -> None:
        if any(len(exchange.rows) == 2 for exchange in batch):
            raise OSError("no")
        for exchange in batch:
            exchange.scores = [0.5]

    async def scenario() -> None:
        batcher = Batcher(predict, max_rows=2)
        failed = request(2)
        await batcher.submit(failed)
        assert failed.refusal is not None
        assert failed.refusal.status == 500
        later = request(1)
        await batcher.submit(later)
        assert later.scores == [0.5]

    asyncio.run(scenario())
