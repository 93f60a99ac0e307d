"""How a worker stands, as gauges set every second, so that one that is stuck is seen too."""

import os
import time
from datetime import datetime
from pathlib import Path

from monitoring import metrics
from monitoring.log.writing import InferenceLog
from registry.worker import Worker
from serving.endpoints import health_of

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """One worker's gauges; `number` is its place among its server's workers."""

    def __init__(self) -> None:
        self.number = 0

    def show(self, worker: Worker, log: InferenceLog) -> None:
        """Set them all."""
        name = str(self.number)
        serving = worker.serving
        healthy = health_of(worker, log)["status"] == "ok"
        metrics.WORKER_SERVING.labels(name).set(serving is not None)
        metrics.WORKER_DEGRADED.labels(name).set(not healthy)
        metrics.WORKER_MEMORY.labels(name).set(_resident_bytes())
        metrics.WORKER_BEAT.labels(name).set(time.time())
        if serving is not None:
            metrics.WORKER_GENERATION.labels(name).set(serving.generation)
            trained = datetime.fromisoformat(serving.loaded.provenance["trained_at"])
            metrics.MODEL_TRAINED.set(trained.timestamp())


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
