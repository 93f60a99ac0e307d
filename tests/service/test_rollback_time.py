"""What a rollback costs whoever is on call: one process, from the shell's fork to its end."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import PROJECT, Server, configured, environment, wait_for
from tests.service.test_many_swaps import NEW, OLD, ROLLBACK, Mover, promotion

pytestmark = pytest.mark.incident

TURNS = 3
"""The best of them counts, as others may use the machine."""


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, and of this process's own CPU."""

    wall: float
    cpu: float


def timed(home: Path, *arguments: str) -> tuple[dict[str, Any], Cost]:
    """`python -m registry` as a shell runs it: its JSON and what it cost."""
    command = [sys.executable, "-m", "registry", *arguments, "--json"]
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment(home), stdout=subprocess.PIPE, text=True
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, said
    return json.loads(said), Cost(wall, usage.ru_utime + usage.ru_stime)


def test_a_rollback_is_done_and_verified_in_a_second_of_time_and_03_of_cpu(
    home: Path, tmp_path: Path
) -> None:
    costs = []
    configuration = configured(tmp_path, workers=2)
    with Mover(home) as mover, Server(home, DATATHON_CONFIGURATION=configuration) as server:
        assert len(server.workers()) == 2
        for _ in range(TURNS):
            mover.run(*promotion(NEW))
            wait_for(lambda: mover.resident() == 2, 30)
            done, cost = timed(home, *ROLLBACK)
            assert (done["from"], done["to"], done["done"]) == (NEW, OLD, True)
            assert done["workers"] == done["resident"] == 2
            assert server.health()["model_version"] == OLD
            costs.append(cost)
    assert min(cost.wall for cost in costs) < 1, costs
    assert min(cost.cpu for cost in costs) < 0.3, costs
