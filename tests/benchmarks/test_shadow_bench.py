"""What `make bench-shadow` makes of its measurements, and how it refuses a wrong call."""

import subprocess
import sys

import pytest

from benchmarks.load import Load
from benchmarks.results import Case
from benchmarks.shadow import Measurement, ratio
from registry.state import PROJECT


def test_the_ratio_is_of_on_to_off_in_the_same_round() -> None:
    case = Case(1, 1)
    measured = [
        Measurement(case, number, shadow, Load(9, 1.0, 0, 1.0, 1.0, p99), 1.0)
        for number, shadow, p99 in [
            (1, True, 3.0),
            (1, False, 2.0),
            (2, False, 8.0),
            (2, True, 4.0),
        ]
    ]
    found = ratio(measured, "p99_ms")
    assert (found.median, found.low, found.high) == (1.0, 0.5, 1.5)


@pytest.mark.parametrize("flags", [["--home", "x"], ["--challenger", "v1.1.0"]])
def test_a_home_needs_its_challenger_and_the_reverse(flags: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.shadow", *flags],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
