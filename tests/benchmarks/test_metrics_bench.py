"""What `make bench-metrics` makes of its measurements, and that all of it runs."""

import os
from pathlib import Path

import pytest

from benchmarks.load import Load
from benchmarks.metrics import Measurement, ratio
from benchmarks.results import Case
from tests.benchmarks.commands import run


def test_the_ratio_is_of_counted_to_uncounted_in_the_same_round() -> None:
    case = Case(1, 1)
    measured = [
        Measurement(case, number, counted, Load(requests, 2.0, 0, 1.0, 1.0, 1.0), 1.0)
        for number, counted, requests in [(1, True, 90), (1, False, 100), (2, False, 50),
                                          (2, True, 55)]
    ]  # fmt: skip
    found = ratio(measured, lambda one: one.rate)
    assert (found.median, found.low, found.high) == pytest.approx((1.0, 0.9, 1.1))


@pytest.mark.benchmark
def test_the_benchmark_runs(tmp_path: Path) -> None:
    done = run("metrics", "--quick", **os.environ)
    assert done.returncode == 0, done.stderr
    assert "0 errors, 0 measurements without an answer" in done.stdout
    assert "a scrape: median" in done.stdout
