"""GET /health and GET /metadata: what the person on call asks first."""

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitoring.log.writing import InferenceLog
from monitoring.metrics import ROUTES
from registry.state import BENTO_NAME
from registry.worker import Worker
from serving.scrape import Scrape


def application(worker: Worker, log: InferenceLog, scrape: Scrape) -> Starlette:
    """The app that BentoML mounts beside its own routes; it answers on the event loop, so that
    /health does not wait for a batch."""

    async def health(request: Request) -> JSONResponse:
        content = health_of(worker, log)
        return JSONResponse(content, status_code=200 if content["model_loaded"] else 503)

    async def metadata(request: Request) -> JSONResponse:
        content = metadata_of(worker)
        if content is None:
            return JSONResponse({"error": worker.problem, "detail": []}, status_code=503)
        return JSONResponse(content)

    async def index(request: Request) -> JSONResponse:
        # BentoML's page would fetch scripts from outside, on a service about pupils.
        return JSONResponse({"service": BENTO_NAME, "paths": ROUTES})

    async def metrics(request: Request) -> Response:
        return Response(await run_in_threadpool(scrape.text), media_type=CONTENT_TYPE_LATEST)

    routes = [Route("/", index), Route("/health", health), Route("/metadata", metadata)]
    return Starlette(routes=[*routes, Route("/metrics", metrics)])


def health_of(worker: Worker, log: InferenceLog) -> dict[str, Any]:
    """`ok`, `degraded` (it serves, but something is wrong) or `unavailable`, and why."""
    serving = worker.serving
    reasons = [reason for reason in (worker.problem, log.problem) if reason is not None]
    status = "unavailable" if serving is None else "degraded" if reasons else "ok"
    content: dict[str, Any] = {
        "status": status,
        "model_loaded": serving is not None,
        "model_version": serving.loaded.version if serving else None,
        "generation": serving.generation if serving else None,
        "uptime_seconds": round(time.monotonic() - worker.started, 1),
    }
    return content | ({"reason": "; ".join(reasons)} if reasons else {})


def metadata_of(worker: Worker) -> dict[str, Any] | None:
    """Everything about the version that serves; None where there is none."""
    serving = worker.serving  # read once: a swap between two looks would mix two versions
    if serving is None:
        return None
    loaded, event = serving.loaded, serving.event
    return {
        "model": loaded.model,
        "model_version": loaded.version,
        "generation": serving.generation,
        "digest": loaded.digest,
        "threshold": loaded.threshold,
        **loaded.schema.to_dict(),
        "metrics": loaded.metrics,
        "provenance": loaded.provenance,
        "promotion": {key: event.get(key) for key in ("action", "from", "by", "at", "reason")},
        "example": {"instances": list(loaded.examples)},
    }
