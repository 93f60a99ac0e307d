"""How a worker stands, as gauges set every second, so that one that is stuck is seen too."""

import asyncio
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from monitoring import metrics
from monitoring.log.writing import InferenceLog
from registry.worker import Worker
from serving import beats
from serving.endpoints import health_of

_PERIOD_SECONDS = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """One worker's gauges; `number` is its place among its server's workers."""

    def __init__(self) -> None:
        self.number = 0
        self._seen = time.monotonic()

    async def stamp(self) -> None:
        """Runs on the event loop for as long as that does: who answers no more beats no more."""
        while True:
            self._seen = time.monotonic()
            await asyncio.sleep(_PERIOD_SECONDS)

    def show(self, worker: Worker, log: InferenceLog) -> None:
        """Set them all."""
        name = str(self.number)
        serving = worker.serving
        healthy = health_of(worker, log)["status"] == "ok"
        metrics.WORKER_SERVING.labels(name).set(serving is not None)
        metrics.WORKER_DEGRADED.labels(name).set(not healthy)
        metrics.WORKER_MEMORY.labels(name).set(_resident_bytes())
        beats.keep(self.number, self._seen)
        if serving is not None:
            metrics.WORKER_GENERATION.labels(name).set(serving.generation)
            if (trained := _trained(serving.loaded.provenance)) is not None:
                metrics.MODEL_TRAINED.set(trained)


def _trained(provenance: Mapping[str, Any]) -> float | None:
    """Seconds since 1970; None where whoever made the version did not say."""
    try:
        return datetime.fromisoformat(provenance["trained_at"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
