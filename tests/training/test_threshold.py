"""Both threshold rules against a search over every score."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.threshold import for_capacity, for_recall

# Few distinct scores, so that ties are the rule.
SCORED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40)
SHARES = st.integers(1, 100)


@given(SCORED.filter(lambda rows: any(label for _, label in rows)), SHARES)
def test_recall_rule_is_the_best_of_all_thresholds(
    rows: list[tuple[int, bool]], percent: int
) -> None:
    positives = sum(label for _, label in rows)
    best: tuple[Fraction, int] | None = None
    for cut in {score for score, _ in rows}:
        flagged = [label for score, label in rows if score >= cut]
        if Fraction(sum(flagged), positives) >= Fraction(percent, 100):
            candidate = (Fraction(sum(flagged), len(flagged)), cut)
            best = candidate if best is None else max(best, candidate)
    assert best is not None
    scores = np.array([score / 8 for score, _ in rows])
    target = np.array([label for _, label in rows], dtype=np.int8)
    assert for_recall(target, scores, percent / 100) == best[1] / 8


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), SHARES)
def test_capacity_rule_is_the_lowest_that_fits(scores: list[int], percent: int) -> None:
    allowed = Fraction(percent, 100) * len(scores)
    fitting = [cut for cut in set(scores) if sum(s >= cut for s in scores) <= allowed]
    expected = min(fitting) if fitting else max(scores)
    assert for_capacity(np.array(scores) / 32, percent / 100) == expected / 32


def test_a_share_that_floats_cannot_write_still_fills_the_capacity() -> None:
    scores = np.arange(100) / 100
    for percent in range(1, 101):
        assert (scores >= for_capacity(scores, percent / 100)).sum() == percent


def test_worked_by_hand() -> None:
    target = np.array([1, 0, 1, 1, 0, 0], dtype=np.int8)
    scores = np.array([0.9, 0.8, 0.8, 0.4, 0.3, 0.1])
    # Recall and precision at .9: 1/3, 1; at .8: 2/3, 2/3; at .4: 1, 3/4.
    assert for_recall(target, scores, 0.3) == 0.9
    assert for_recall(target, scores, 0.5) == 0.4
    assert for_capacity(scores, 0.5) == 0.8
    assert for_capacity(scores, 0.4) == 0.9
