"""The edge over any app: how long a request may take, how many may come at once, and what the
shadow is offered, and when."""

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from registry.configuration import ServingSettings
from serving.access import AccessLog
from serving.edge import App, Edge
from serving.exchange import CURRENT, Exchange
from serving.traffic import Traffic
from tests.service.challengers import CHAMPION

ROUTES = {"/predict": "POST", "/metrics": "GET"}


@dataclass
class Client:
    """Whoever calls the app through an edge. `events`: what came back (a status, "body"), and how
    many rows the shadow was offered."""

    app: App
    settings: ServingSettings = field(default_factory=ServingSettings)
    traffic: Traffic = field(default_factory=Traffic)
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        worker: Any = SimpleNamespace(serving=SimpleNamespace(loaded=CHAMPION), problem=None)
        self._edge = Edge(
            self.app,
            worker=worker,
            settings=self.settings,
            traffic=self.traffic,
            on_answered=lambda one: self.events.append(len(one.rows)),
            access=AccessLog(enabled=False),
        )

    async def call(
        self, path: str, body: bytes = b'{"instances":[{"x":1,"y":2}]}'
    ) -> tuple[int, dict[bytes, bytes], Any]:
        """Status, headers and content of the only answer."""
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)
            self.events.append(message.get("status", "body"))

        headers = [(b"content-type", b"application/json"), (b"x-request-id", b"mine")]
        scope = {"type": "http", "path": path, "method": ROUTES[path], "headers": headers}
        await self._edge(scope, receive, send)
        start, content = sent
        return start["status"], dict(start["headers"]), json.loads(content["body"])


def late(act: Callable[[], None] = lambda: None) -> App:
    """An app that acts and then takes longer than any test."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        act()
        await asyncio.sleep(3600)

    return app


def counted(error: str) -> float:
    return REGISTRY.get_sample_value("datathon_errors_total", {"type": error}) or 0.0


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers with no rows at once."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"[]"})


@pytest.mark.parametrize(
    ("body", "status", "offered"),
    [(b'{"instances":[{"x":1,"y":2}]}', 200, True), (b'{"instances":[{"x":1}]}', 400, False)],
)
def test_the_answer_has_left_before_the_challenger_hears_of_it(
    body: bytes, status: int, offered: bool
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        CURRENT.get().scores = [0.5]
        await answering(scope, receive, send)

    client = Client(app)
    asyncio.run(client.call("/predict", body))
    assert client.events == [status, "body"] + [1] * offered
    assert (client.traffic.came, client.traffic.left) == (offered, offered)


@pytest.mark.parametrize("path", ROUTES)
def test_what_takes_too_long_is_504_on_every_route(path: str) -> None:
    client = Client(late(), ServingSettings(timeout_seconds=0.05))
    status, headers, content = asyncio.run(client.call(path))
    assert (status, headers[b"x-request-id"]) == (504, b"mine")
    assert content == {"error": "the answer took too long", "detail": []}
    assert client.traffic.in_flight == 0


def test_what_was_scored_too_late_is_neither_logged_later_nor_offered_to_the_shadow() -> None:
    seen: list[Exchange] = []

    def score() -> None:
        CURRENT.get().scores = [0.5]
        seen.append(CURRENT.get())

    client = Client(late(score), ServingSettings(timeout_seconds=0.05))
    assert asyncio.run(client.call("/predict"))[0] == 504
    assert [one.is_scored for one in seen] == [False]
    assert client.events == [504, "body"]


def test_a_time_out_of_the_disk_is_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    before = counted("TimeoutError")
    status, _, content = asyncio.run(Client(app).call("/metrics"))
    assert (status, "X-Request-ID" in content["error"]) == (500, True)
    assert [record.getMessage() for record in caplog.records] == ["unexpected error: TimeoutError"]
    assert counted("TimeoutError") == before + 1


def test_more_requests_at_once_than_may_be_are_429() -> None:
    async def all_at_once() -> list[int]:
        ended = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await ended.wait()
            await answering(scope, receive, send)

        client = Client(app, ServingSettings(max_concurrency=2))
        calls: list[Awaitable[Any]] = [
            asyncio.create_task(client.call("/predict")) for _ in range(3)
        ]
        status, headers, content = await calls.pop()
        assert (status, headers[b"retry-after"], content["detail"]) == (429, b"1", [])
        assert (await client.call("/predict"))[0] == 429
        ended.set()
        answered = [status for status, _, _ in await asyncio.gather(*calls)]
        return [*answered, (await client.call("/predict"))[0]]

    assert asyncio.run(all_at_once()) == [200, 200, 200]
