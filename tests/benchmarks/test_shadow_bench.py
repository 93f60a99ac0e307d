"""What `make bench-shadow` makes of its measurements, and how it refuses a wrong call."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import Load, answers, percentile_ms
from benchmarks.results import Case
from benchmarks.shadow import CASES, Measurement, beyond, pooled, ratio
from registry.state import PROJECT


def measured(*runs: tuple[int, bool, Sequence[int]], case: Case = CASES[0]) -> list[Measurement]:
    """Of round, shadow, and the milliseconds of each answer."""
    found = []
    for number, shadow, times in runs:
        counts = tuple(Counter(1000 * time for time in times).items())
        load = Load(len(times), 1.0, 0, 0.0, 0.0, 0.0, counts)
        found.append(Measurement(case, number, shadow, load, 1.0))
    return found


@given(
    runs=st.lists(st.lists(st.integers(1, 99), min_size=1), min_size=1),
    percent=st.sampled_from([1, 50, 95, 99, 100]),
)
def test_a_pooled_percentile_has_so_many_of_all_answers_below_it(
    runs: list[list[int]], percent: int
) -> None:
    loads = [one.load for run in runs for one in measured((1, True, run))]
    found = pooled([answers(load.counts) for load in loads], percent)
    merged = answers([pair for load in loads for pair in load.counts])
    assert percentile_ms(merged, percent) == found
    together = [time for run in runs for time in run]
    assert 100 * sum(time <= found for time in together) >= percent * len(together)
    assert 100 * sum(time < found for time in together) < percent * len(together)


def test_the_ratio_is_of_all_answers_on_to_all_off() -> None:
    runs = measured((1, True, [1] * 98 + [9, 9]), (1, False, [1] * 98 + [6, 6]))
    found = ratio(runs, 99)
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)
    assert ratio(runs, 50).value == 1.0


def test_the_interval_tells_that_rounds_differ() -> None:
    calm = [(number, shadow, [2]) for number in range(4) for shadow in (True, False)]
    found = ratio(measured(*calm, (4, True, [8]), (4, False, [2])), 99)
    assert (found.low, found.high) == (1.0, 4.0)


@pytest.mark.parametrize(("on", "told"), [(105, False), (106, True), (50, False)])
def test_what_is_above_the_limit_is_told(on: int, told: bool) -> None:
    runs = [
        one for case in CASES for one in measured((1, True, [on]), (1, False, [100]), case=case)
    ]
    found = beyond(runs)
    assert len(found) == (len(CASES) if told else 0)
    assert all("p99 is 6.0% higher (from 6.0% on)" in words for words in found)


def test_what_chance_explains_is_not_told() -> None:
    rounds = [(number, shadow, [2]) for number in range(4) for shadow in (True, False)]
    runs = [
        one
        for case in CASES
        for one in measured(*rounds, (4, True, [8]), (4, False, [2]), case=case)
    ]
    assert ratio(runs[:10], 99).value == 4.0
    assert beyond(runs) == []


@pytest.mark.parametrize("flags", [["--home", "x"], ["--challenger", "v1.1.0"]])
def test_a_home_needs_its_challenger_and_the_reverse(flags: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.shadow", *flags],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
