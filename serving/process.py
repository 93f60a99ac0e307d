"""How a worker's process is set up: cores, garbage collector, metrics."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bentoml._internal.container import BentoMLContainer
from bentoml._internal.server.http import traffic

from registry.configuration import FILE_VARIABLE

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _as_called() -> None:
    """BentoML goes to the service's folder before it imports it: what is relative was meant from
    where the command was given."""
    for name in ("BENTOML_HOME", FILE_VARIABLE):
        value, folder = os.environ.get(name), os.environ.get("PWD")
        if value and folder and (meant := Path(folder, value)).exists():
            os.environ[name] = str(meant)


_as_called()  # service.py reads both as soon as it is imported


def share_cores(workers: int | str) -> None:
    """Give each worker its share of the cores, unless the environment says otherwise.

    BentoML imports the service in the parent before it starts the workers, which inherit the
    variables and so have them before any pool of threads is made.
    """
    cores = len(os.sched_getaffinity(0))
    count = cores if workers == "cpu_count" else int(workers)
    share = str(max(1, cores // max(1, count)))
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, share)


def fix_home(home: Path) -> None:
    """Let the workers, which run in another folder, see the same BENTOML_HOME and the same
    configuration as the parent."""
    if "BENTOML_HOME" in os.environ:
        os.environ["BENTOML_HOME"] = str(home)
    if configuration := os.environ.get(FILE_VARIABLE):
        os.environ[FILE_VARIABLE] = str(Path(configuration).absolute())


def keep_metrics_apart() -> None:
    """Give this server a folder of its own for the workers' metrics, in memory where there is any.

    BentoML keeps them under BENTOML_HOME, where a second server wipes the first one's at its start,
    and where a full disk kills a worker by SIGBUS, as prometheus_client maps sparse files.
    """
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # a worker: its parent has chosen
        return
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="datathon-metrics-", dir=memory)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    BentoMLContainer.prometheus_multiproc_dir.set(folder)


class _NoTimer:
    """Stands where BentoML would limit the time of a request, and does nothing."""

    def __init__(self, app: Any, timeout: float) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def leave_timers_out() -> None:
    """Take BentoML's time limit out; serving.edge has one for every request.

    BentoML lets a request's timer run to its end, a minute after the answer. While more timers run
    than were cancelled, asyncio keeps the cancelled ones as well, each with its request. So a busy
    worker held a minute of requests, and stood still for up to 0.4 s while the garbage collector
    walked through them.
    """
    traffic.TimeoutMiddleware = _NoTimer  # BentoML looks it up when it makes the app


def is_restart(worker: int) -> bool:
    """Whether a worker of this number ran before in this server: it ended unexpectedly then."""
    marker = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) / f"started-{worker}"
    if marker.exists():
        return True
    marker.touch()
    return False


def tune() -> None:
    """Let the garbage collector come seldom, as a request of 1000 rows makes thousands of small
    objects and no cycles; and not so seldom that requests feel it."""
    gc.set_threshold(20_000, 20, 20)
