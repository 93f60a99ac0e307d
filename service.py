"""The BentoML service: wiring only. What it does stands in serving/, registry/ and monitoring/."""

import asyncio
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType
from pydantic import PlainValidator, WithJsonSchema

from monitoring import logs
from monitoring.inference_log import SECRET_VARIABLE, EntityKeys, InferenceLog
from registry.configuration import load
from registry.state import BENTO_NAME, State
from registry.worker import Worker
from serving.baked import baked_model
from serving.edge import Edge
from serving.endpoints import application
from serving.exchange import CURRENT
from serving.predictor import Predictor
from serving.threads import limit_threads

CONFIGURATION = load()
SERVING = CONFIGURATION.serving
STATE = State.from_environment()
LOG = InferenceLog(STATE.inference_log, EntityKeys.from_environment())
WORKER = Worker(STATE, max_rows=SERVING.max_rows)

limit_threads(CONFIGURATION.bentoml.get("workers", 1))
logs.configure()

# The edge has validated the request's rows; what BentoML merges are those, not the body.
Instances = Annotated[
    list[Any],
    PlainValidator(lambda _: CURRENT.get().rows),
    WithJsonSchema({"type": "array", "items": {"type": "object"}, "minItems": 1}),
]
Predictions = Annotated[list[dict[str, Any]], ContentType("application/json")]


@bentoml.service(name=BENTO_NAME, **CONFIGURATION.bentoml)
@bentoml.asgi_app(application(WORKER, LOG), path="/")
class DatathonApi:
    """Scores rows with the champion; see GET /metadata for what a row holds."""

    def __init__(self) -> None:
        self._predictor = Predictor(LOG, on_log_failure=SERVING.on_log_failure)
        self.predict = self.predict  # BentoML would wrap the method anew at each request

    @bentoml.on_startup
    async def start(self) -> None:
        """Load and warm up before the worker accepts, then follow the pointer."""
        logs.configure()
        WORKER.start(baked_model(self.bento_service))  # type: ignore[attr-defined]
        if not LOG.keys.enabled:
            logs.LOGGER.warning("entity_id is not logged: %s is not set", SECRET_VARIABLE)
        self._watch = asyncio.create_task(WORKER.watch(SERVING.poll_ms / 1000))

    @bentoml.on_shutdown
    async def stop(self) -> None:
        self._watch.cancel()

    def __is_ready__(self) -> bool:
        return WORKER.serving is not None

    @bentoml.api(
        route="/predict",
        batchable=True,
        max_batch_size=SERVING.max_rows,
        max_latency_ms=int(SERVING.timeout_seconds * 1000),
    )
    def predict(self, instances: Instances) -> Predictions:
        """Risk scores in the order of the rows."""
        return self._predictor.predict(instances)


DatathonApi.add_asgi_middleware(  # type: ignore[attr-defined]
    Edge, worker=WORKER, settings=SERVING
)
