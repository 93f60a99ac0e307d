"""How a worker's process is set up: its share of the cores, and the garbage collector."""

import gc
import os

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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


def tune() -> None:
    """Let the garbage collector come seldom: a request of 1000 rows makes thousands of small
    objects and no cycles."""
    gc.set_threshold(50_000, 20, 20)
