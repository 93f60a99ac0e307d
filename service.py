"""The BentoML service: wiring only. What it does stands in serving/, registry/ and monitoring/."""

import asyncio
from typing import Annotated, Any, cast

import bentoml
from bentoml.validators import ContentType
from pydantic import WithJsonSchema
from starlette.responses import Response

from monitoring import logs, metrics
from monitoring.log.writing import SECRET_VARIABLE, EntityKeys, InferenceLog
from registry.configuration import load
from registry.state import BENTO_NAME, State
from registry.worker import Worker
from serving.access import AccessLog
from serving.baked import baked_model
from serving.batcher import Batcher
from serving.edge import Edge
from serving.endpoints import application
from serving.exchange import CURRENT
from serving.predictor import Predictor, answer
from serving.process import (
    fix_home,
    is_restart,
    keep_metrics_apart,
    leave_timers_out,
    share_cores,
    tune,
)
from serving.reporter import Reporter
from serving.scrape import Scrape
from serving.shadow import Shadow
from serving.traffic import Traffic
from serving.vitals import Vitals

CONFIGURATION = load()
SERVING = CONFIGURATION.serving
STATE = State.from_environment()
LOG = InferenceLog(STATE.inference_log, EntityKeys.from_environment())
VITALS = Vitals()
REPORTER = Reporter(CONFIGURATION.watch.refresh_seconds)
SCRAPE = Scrape(STATE, reports=CONFIGURATION.watch.refresh_seconds > 0)
ACCESS = AccessLog(enabled=SERVING.access_log)


def _swapped(seconds: float) -> None:
    metrics.SWAP_SECONDS.observe(seconds)
    REPORTER.hasten()


WORKER: Worker = Worker(
    STATE,
    max_rows=SERVING.max_rows,
    on_swap=_swapped,
    on_beat=lambda: VITALS.show(WORKER, LOG),
)
TRAFFIC = Traffic()
SHADOW = Shadow(
    WORKER, InferenceLog(STATE.shadow_log, LOG.keys), CONFIGURATION.shadow, traffic=TRAFFIC
)

fix_home(STATE.home)
share_cores(CONFIGURATION.bentoml.get("workers", 1))
logs.configure()
keep_metrics_apart()
leave_timers_out()

# The edge has validated the body and put its rows into the exchange; BentoML sees an empty list.
Instances = Annotated[
    list[Any],
    WithJsonSchema({"type": "array", "items": {"type": "object"}, "minItems": 1}),
]
Predictions = Annotated[list[dict[str, Any]], ContentType("application/json")]


@bentoml.service(**{"name": BENTO_NAME, **CONFIGURATION.bentoml})
@bentoml.asgi_app(application(WORKER, LOG, SCRAPE), path="/")
class DatathonApi:
    """Scores rows with the champion; see GET /metadata for what a row holds."""

    def __init__(self) -> None:
        predictor = Predictor(LOG, on_log_failure=SERVING.on_log_failure)
        self._batcher = Batcher(predictor.predict, max_rows=SERVING.max_rows)
        self._stamping: asyncio.Task[None] | None = None  # a start that fails is stopped too
        self.predict = self.predict  # BentoML would wrap the method anew at each request

    @bentoml.on_startup
    async def start(self) -> None:
        """Load and warm up before the worker accepts, then follow the pointer."""
        logs.configure()
        tune()
        worker = bentoml.server_context.worker_index or 0
        VITALS.number = worker
        WORKER.start(
            baked_model(self.bento_service),  # type: ignore[attr-defined]
            poll_seconds=SERVING.poll_ms / 1000,
        )
        SHADOW.start()
        ACCESS.start()
        self._stamping = asyncio.create_task(VITALS.stamp())
        if worker <= 1:  # one of them is enough
            REPORTER.start()
        if is_restart(worker):
            metrics.WORKER_RESTARTS.inc()
            logs.LOGGER.error("worker %d is back: the one before it ended unexpectedly", worker)
        if not LOG.keys.enabled:
            logs.LOGGER.warning("entity_id is not logged: %s is not set", SECRET_VARIABLE)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        if self._stamping is not None:
            self._stamping.cancel()
        REPORTER.stop()
        SHADOW.stop()
        WORKER.stop()
        ACCESS.stop()

    def __metrics__(self, content: str) -> str:
        """Where BentoML's own metrics are turned on, it answers /metrics, and asks for what else
        there is."""
        return content + SCRAPE.beside().decode()

    def __is_ready__(self) -> bool:
        return WORKER.serving is not None

    @bentoml.api(route="/predict")
    async def predict(self, instances: Instances) -> Predictions:
        """Risk scores in the order of the rows."""
        exchange = CURRENT.get()
        await self._batcher.submit(exchange)
        refusal = exchange.refusal
        body = answer(exchange) if refusal is None else refusal.body
        response = Response(body, refusal.status if refusal else 200, media_type="application/json")
        return cast(Predictions, response)  # BentoML sends a response as it is


DatathonApi.add_asgi_middleware(  # type: ignore[attr-defined]
    Edge, worker=WORKER, settings=SERVING, traffic=TRAFFIC, on_answered=SHADOW.offer, access=ACCESS
)
