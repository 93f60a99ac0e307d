"""The access log where stdout is no good."""

import subprocess
import sys
import time

import pytest
from prometheus_client import REGISTRY

from registry.state import PROJECT
from serving.access import AccessLog
from serving.exchange import Exchange

_SCRIPT = """
import sys, time
from prometheus_client import REGISTRY
from serving.access import AccessLog
from serving.exchange import Exchange
log = AccessLog(enabled=True)
log.start()
for number in range(5000):
    log.tell(Exchange(f"request-{number}"), "POST", "/predict", 200, 0.001)
    time.sleep(0.0001)
log.stop()
dropped = REGISTRY.get_sample_value("datathon_access_log_dropped_total")
print("dropped", int(dropped), file=sys.stderr)
"""


@pytest.mark.parametrize(("reader", "dropped"), [("that stands still", 0), ("that is gone", 5000)])
def test_nobody_waits_for_a_reader(reader: str, dropped: int) -> None:
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if reader == "that is gone":
            process.stdout.close()
        assert process.stderr.readline().decode() == f"dropped {dropped}\n"
        assert process.wait(20) == 0
    assert time.monotonic() - began < 20


def test_every_line_is_whole_and_there_when_it_is_read() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], cwd=PROJECT, capture_output=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 5000
    assert b'"request_id":"request-4999"' in lines[-1]


def test_lines_that_nobody_takes_in_time_are_counted() -> None:
    log = AccessLog(enabled=True)  # nothing writes, as where stdout stands still
    before = dropped()
    for _ in range(20_003):
        log.tell(Exchange("r"), "POST", "/predict", 200, 0.001)
    assert dropped() - before == 3


def dropped() -> float:
    return REGISTRY.get_sample_value("datathon_access_log_dropped_total") or 0.0
