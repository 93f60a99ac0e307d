"""Thread pools sized so that the workers share the cores instead of fighting for them."""

import os

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_threads(workers: int | str) -> None:
    """Give each worker its share of the cores, unless the environment says otherwise.

    BentoML imports the service in the parent before it starts the workers, which inherit the
    variables and so have them before any pool is made.
    """
    cores = len(os.sched_getaffinity(0))
    count = cores if workers == "cpu_count" else int(workers)
    share = str(max(1, cores // max(1, count)))
    for variable in _VARIABLES:
        os.environ.setdefault(variable, share)
