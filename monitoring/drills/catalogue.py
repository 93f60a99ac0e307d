"""The drills by name, in the order in which `all` plays them."""

from monitoring.drills import (
    bad_promote,
    corrupt_model,
    data_bug,
    disk_full,
    drift,
    latency,
    recall,
    server_errors,
    worker_crash,
)
from monitoring.drills.plot import Plot

PLOTS: dict[str, Plot] = {
    module.PLOT.name: module.PLOT
    for module in (
        server_errors,
        latency,
        drift,
        data_bug,
        recall,
        bad_promote,
        worker_crash,
        disk_full,
        corrupt_model,
    )
}
