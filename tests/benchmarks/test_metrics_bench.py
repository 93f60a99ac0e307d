"""What `make bench-metrics` makes of its measurements, and that all of it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import Load
from benchmarks.metrics import CASES, Measurement, beyond, ratio
from benchmarks.results import Case
from tests.benchmarks.commands import run
from tests.server import PROJECT, environment


def test_the_ratio_is_of_counted_to_uncounted_in_the_same_round() -> None:
    case = Case(1, 1)
    measured = [
        Measurement(case, number, counted, Load(requests, 2.0, 0, 1.0, 1.0, 1.0), 1.0)
        for number, counted, requests in [(1, True, 90), (1, False, 100), (2, False, 50),
                                          (2, True, 55)]
    ]  # fmt: skip
    found = ratio(measured, lambda one: one.rate)
    assert (found.median, found.low, found.high) == pytest.approx((1.0, 0.9, 1.1))


@pytest.mark.parametrize(
    ("counted", "scrapes", "words"),
    [
        ([95, 96, 60], [50.0, 49.0, 900.0], []),
        ([94, 94, 100], [10.0], ["metrics cost 6.0%"] * len(CASES)),
        ([100, 100, 100], [51.0, 51.0, 1.0], ["a scrape takes 51.0 ms"]),
    ],
)
def test_what_is_above_the_limits_is_told(
    counted: list[int], scrapes: list[float], words: list[str]
) -> None:
    measured = [
        Measurement(case, number, kind, Load(requests, 1.0, 0, 1.0, 1.0, 1.0), 1.0)
        for case in CASES
        for number, value in enumerate(counted)
        for kind, requests in ((True, value), (False, 100))
    ]
    found = beyond(measured, scrapes)
    assert len(found) == len(words)
    assert all(part in whole for part, whole in zip(words, found, strict=True))


_UNCOUNTED = """
import benchmarks.uncounted
from monitoring import metrics
from prometheus_client import REGISTRY
from serving.vitals import Vitals
metrics.count_scores(None, None)
metrics.count_request("/predict", 200, 0.1)
metrics.count_problems(None, None)
metrics.count_error(None)
metrics.BATCH_ROWS.observe(5)
metrics.SHADOW_ROWS.labels("scored").inc()
Vitals().show(None, None)
names = ("_total", "_count", "_serving")
print(sum(sample.value for family in REGISTRY.collect() if family.name.startswith("datathon")
          for sample in family.samples if sample.name.endswith(names)))
"""


def test_the_service_without_metrics_counts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNCOUNTED],
        cwd=PROJECT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "0.0\n", done.stderr


@pytest.mark.benchmark
def test_the_benchmark_runs(tmp_path: Path) -> None:
    done = run("metrics", "--quick", **os.environ)
    assert done.returncode == 0, done.stderr
    assert "0 errors, 0 measurements without an answer" in done.stdout
    assert "a scrape: median" in done.stdout
