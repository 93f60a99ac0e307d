"""The ASGI middleware around everything: request id, limits, validation, one shape of error.

Validation happens here, in full, before BentoML may merge a request with another one; so bad input
never reaches a batch, is never logged, and costs no traceback.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import uuid4

import orjson

from monitoring import logs, metrics
from registry.configuration import ServingSettings
from registry.privacy import looks_personal
from registry.validation import InvalidRowsError
from registry.worker import Worker
from serving.access import AccessLog
from serving.errors import Refusal
from serving.exchange import CURRENT, Exchange
from serving.traffic import Traffic

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREDICT = "/predict"
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_HAND_OVER = b'{"instances":[]}'  # the validated rows travel in the Exchange
_GONE = 499  # nothing was answered: the client went away


class Edge:
    """Wraps the service's app; one instance a worker. `on_answered` is given each scored request
    once its answer has left; it must not take long."""

    def __init__(
        self,
        app: App,
        *,
        worker: Worker,
        settings: ServingSettings,
        traffic: Traffic,
        on_answered: Callable[[Exchange], None],
        access: AccessLog,
    ) -> None:
        self._app = app
        self._worker = worker
        self._on_answered = on_answered
        self._access = access
        self._settings = settings
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        began = time.perf_counter()
        exchange = Exchange(_request_id(headers.get(b"x-request-id", b"")))
        answer = _Answer(send, exchange, rewrite_json=scope["path"] == PREDICT)
        CURRENT.set(exchange)
        limit = asyncio.timeout(self._settings.timeout_seconds)
        try:
            async with limit:
                if scope["path"] == PREDICT and scope["method"] == "POST":
                    await self._predict(scope, headers, receive, answer)
                else:
                    await self._app(scope, receive, answer)
            if exchange.is_scored:
                self._on_answered(exchange)
        except Exception as error:  # the one shape of error, whatever happened
            if isinstance(error, TimeoutError) and limit.expired():
                refusal = exchange.refusal = Refusal.of(504)  # what is not logged yet will not be
            else:
                refusal = Refusal.of(500)
                logs.failure("unexpected error", error, exchange.request_id)
            await answer.refuse(refusal)
        finally:
            self._tell(scope, answer, time.perf_counter() - began)

    def _tell(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        route = metrics.route(scope["path"])
        metrics.count_request(route, answer.status, seconds)
        self._access.tell(answer.exchange, scope["method"], route, answer.status, seconds)

    async def _predict(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: "_Answer"
    ) -> None:
        body = await self._body(headers, receive)
        if body is None:
            return  # nobody is there to be answered
        refusal = body if isinstance(body, Refusal) else self._admit(body, answer.exchange)
        if refusal is not None:
            await answer.refuse(refusal)
            return
        self._traffic.came += 1
        try:
            await self._app(_handed_over(scope), _replay(receive), answer)
        finally:
            self._traffic.left += 1

    def _admit(self, body: bytes, exchange: Exchange) -> Refusal | None:
        if self._traffic.in_flight >= self._settings.max_concurrency:
            return Refusal.of(429)
        return self._validate(body, exchange)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | Refusal | None:
        """The whole body, counted as it comes: a chunked upload has no length to trust; None where
        the client went away meanwhile."""
        media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if media_type != b"application/json":
            return Refusal.of(415)
        too_large = Refusal.of(
            413, f"the body is larger than {self._settings.max_body_bytes} bytes; send fewer rows"
        )
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._settings.max_body_bytes:
            return too_large
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._settings.max_body_bytes:
                return too_large
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)

    def _validate(self, body: bytes, exchange: Exchange) -> Refusal | None:
        """Put the validated rows into the exchange, all for the version that serves now."""
        serving = self._worker.serving
        if serving is None:
            return Refusal.of(503, self._worker.problem)
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            metrics.VALIDATION_ERRORS.labels("body").inc()
            return Refusal.of(400, "the body is not JSON (NaN and Infinity are not either)")
        if type(content) is not dict or content.keys() != {"instances"}:
            metrics.VALIDATION_ERRORS.labels("body").inc()
            return Refusal.of(
                400,
                'expected {"instances": [{feature: value, …}, …]} and no other key',
            )
        version = serving.loaded
        try:
            exchange.rows = version.validator.validate(content["instances"])
        except InvalidRowsError as error:
            metrics.count_problems(error.problems, version.schema.names)
            return Refusal.invalid(error)
        exchange.version = version
        return None


class _Answer:
    """A `send` that adds X-Request-ID and puts every error into the one shape."""

    def __init__(self, send: Send, exchange: Exchange, *, rewrite_json: bool) -> None:
        self.exchange = exchange
        self.status = _GONE
        self._send = send
        self._rewrite_json = rewrite_json
        self._started = False
        self._replaced = False
        self._request_id = (b"x-request-id", exchange.request_id.encode())

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] != "http.response.start":
            await self._send(message)
            return
        headers = list(message["headers"])
        refusal = self._refusal(message["status"], headers)
        if refusal is not None:
            await self.refuse(refusal)
            return
        kept = [header for header in headers if header[0].lower() != b"x-request-id"]
        self._started = True
        self.status = message["status"]
        await self._send({**message, "headers": [*kept, self._request_id]})

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with an error, unless an answer is already on its way."""
        if self._started:
            return
        self._started = self._replaced = True
        self.status = refusal.status
        headers = [*refusal.headers, self._request_id]
        await self._send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": refusal.body})

    def _refusal(self, status: int, headers: list[tuple[bytes, bytes]]) -> Refusal | None:
        if self.exchange.refusal is not None:
            return self.exchange.refusal
        if status < 400:
            return None
        is_json = any(
            name.lower() == b"content-type" and value.startswith(b"application/json")
            for name, value in headers
        )
        return Refusal.of(status) if self._rewrite_json or not is_json else None


def _request_id(header: bytes) -> str:
    """The client's own id, or a new one where there is none, or none that may stand in the log."""
    sent = header.decode() if _REQUEST_ID.fullmatch(header) else None
    return uuid4().hex if sent is None or looks_personal(sent) else sent


def _handed_over(scope: Scope) -> Scope:
    """The request as BentoML sees it: small, and surely JSON."""
    kept = [h for h in scope["headers"] if h[0] not in (b"content-length", b"transfer-encoding")]
    length = (b"content-length", str(len(_HAND_OVER)).encode())
    return {**scope, "headers": [*kept, length]}


def _replay(receive: Receive) -> Receive:
    """Hands out the small body once; after it, what the client really sends (a disconnect)."""
    waiting: list[Message] = [{"type": "http.request", "body": _HAND_OVER, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
