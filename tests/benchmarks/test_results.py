"""Ratios are taken round by round, by hand here."""

import math

from benchmarks.load import Load
from benchmarks.ratios import Ratio
from benchmarks.results import Case, Measurement, ratio
from benchmarks.servers import OURS, THEIRS

CASE = Case(rows=10, connections=4)


def measured(service: str, number: int, requests: int, cpu_seconds: float = 1.0) -> Measurement:
    load = Load(requests=requests, seconds=2.0, failed=0, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0)
    return Measurement(CASE, number, service, load, cpu_seconds)


def test_throughput_counts_rows_and_cpu_counts_requests() -> None:
    one = measured(OURS, 1, requests=50, cpu_seconds=0.4)
    assert one.rows_per_second == 250
    assert math.isclose(one.cpu_ms, 8.0)


def test_ratio_compares_the_services_within_a_round() -> None:
    # Rounds 1 to 3: 200/100, 90/30, 40/40. The median of throughputs would say 90/40.
    pairs = [(1, 200, 100), (2, 90, 30), (3, 40, 40)]
    both = [measured(OURS, number, ours) for number, ours, _ in pairs]
    both += [measured(THEIRS, number, theirs) for number, _, theirs in reversed(pairs)]
    assert ratio(both, "rows/s") == Ratio(median=2.0, low=1.0, high=3.0)


def test_a_round_without_an_answer_gives_no_ratio() -> None:
    both = [measured(OURS, 1, 0), measured(THEIRS, 1, 100)]
    assert ratio(both, "rows/s") is None
