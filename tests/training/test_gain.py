"""The gain and its interval, against scikit-learn's metrics, resamples drawn here, and the normal
interval where there is one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from monitoring.performance.evaluation import row_weights
from registry.guardrails import Rows, Scored
from training.gain import DIFFERENCES, MARGIN, Gain, flags_of_equal_number, measure

Floats = NDArray[np.float64]
EQUAL = DIFFERENCES.index("recall_equal_flags")


def rows(target: NDArray[Any], entities: NDArray[Any] | None = None) -> Rows:
    alone = np.arange(len(target))
    return Rows(target.astype(np.int8), alone if entities is None else entities, {})


def drawn(count: int, seed: int, *, noise: tuple[float, float]) -> tuple[Rows, Scored, Scored]:
    """Two models that see the same truth through different noise; about three rows an entity."""
    rng = np.random.default_rng(seed)
    entities = rng.integers(0, max(count // 3, 1), count)
    truth = rng.normal(size=count) + rng.normal(size=count)[entities]
    target = (rng.random(count) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    champion, challenger = (
        Scored(np.round(1 / (1 + np.exp(-(truth + rng.normal(0, sd, count)))), 2), cut)
        for sd, cut in zip(noise, (0.5, 0.55), strict=True)
    )
    return rows(target, entities), champion, challenger


def gained(found: tuple[Rows, Scored, Scored], **changes: Any) -> Gain:
    settings = {"resamples": 300, "seed": 4, "min_positives": 1} | changes
    return measure(*found, **settings)


def by_scikit_learn(
    target: NDArray[np.int8], scores: Floats, flags: NDArray[np.bool_]
) -> list[float]:
    return [
        reference.average_precision_score(target, scores),
        reference.roc_auc_score(target, scores),
        reference.recall_score(target, flags),
        reference.precision_score(target, flags),
        reference.brier_score_loss(target, scores),
    ]


def differences(found: tuple[Rows, Scored, Scored], chosen: NDArray[np.intp]) -> list[float]:
    """Challenger less champion on some rows, which may stand among them several times."""
    given, champion, challenger = found
    target = given.target[chosen]
    old, new = (
        by_scikit_learn(target, side.scores[chosen], side.flags[chosen])
        for side in (champion, challenger)
    )
    ranked = np.sort(challenger.scores)[::-1]
    allowed = int(champion.flags.sum())
    # As few of the highest scores as there may be flags, without cutting through a tie.
    equal = challenger.scores > ranked[allowed] if allowed < len(ranked) else ranked >= 0
    more = reference.recall_score(target, equal[chosen]) - old[2]
    return [*(np.array(new) - np.array(old)).tolist(), float(more)]


def test_values_and_intervals_are_those_of_a_plain_loop_over_the_same_resamples() -> None:
    found = drawn(240, 1, noise=(1.5, 0.5))
    gain = gained(found)
    every = np.arange(240)
    point = differences(found, every)
    draws = [
        differences(found, np.repeat(every, weights.astype(int)))
        for weights in row_weights(found[0].entities, resamples=300, seed=4)
    ]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    for at, name in enumerate(DIFFERENCES):
        estimate = gain.differences[name]
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (point[at], low[at], high[at]), abs=2e-6
        ), name


def test_the_interval_of_a_mean_is_the_normal_one_over_entities() -> None:
    """Brier's gain is a mean of independent differences, one an entity: a closed form."""
    rng = np.random.default_rng(2)
    size = 1000
    target = rng.integers(0, 2, size)
    champion, challenger = (Scored(rng.beta(2, 2, size), 0.5) for _ in range(2))
    change = (challenger.scores - target) ** 2 - (champion.scores - target) ** 2
    half = 1.959964 * change.std(ddof=1) / np.sqrt(size)
    for copies in (1, 4):  # four rows of an entity that are alike say no more than one
        entities = np.repeat(np.arange(size), copies)
        old, new = (Scored(np.repeat(side.scores, copies), 0.5) for side in (champion, challenger))
        gain = gained((rows(target.repeat(copies), entities), old, new), resamples=1000)
        found = gain.differences["brier"]
        assert found.value == pytest.approx(change.mean(), abs=1e-6)
        assert found.low == pytest.approx(change.mean() - half, abs=0.1 * half)
        assert found.high == pytest.approx(change.mean() + half, abs=0.1 * half)


@given(st.integers(0, 10**6), st.integers(20, 80))
def test_swapping_the_two_turns_every_gain_around(seed: int, count: int) -> None:
    given_rows, champion, challenger = drawn(count, seed, noise=(1.0, 0.7))
    one = gained((given_rows, champion, challenger), resamples=20)
    other = gained((given_rows, challenger, champion), resamples=20)
    for name in DIFFERENCES[:EQUAL]:
        first, second = one.differences[name], other.differences[name]
        if first.value is None:
            assert second.value is None
            continue
        ends = [-(end or 0.0) for end in (second.value, second.high, second.low)]
        assert [first.value, first.low, first.high] == pytest.approx(ends, abs=2e-6)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 45))
def test_flags_of_an_equal_number_are_the_highest_scores_and_never_more(
    scores: list[int], count: int
) -> None:
    given_scores = np.array(scores, dtype=np.float64)
    flags = flags_of_equal_number(given_scores, count)
    assert flags.sum() <= count
    if flags.any() and not flags.all():
        assert given_scores[flags].min() > given_scores[~flags].max()
    left = given_scores[~flags]
    if len(left):  # the next tie would be too many
        assert flags.sum() + (left == left.max()).sum() > count


def test_the_same_model_gains_nothing_for_certain() -> None:
    given_rows, champion, _ = drawn(300, 3, noise=(1.0, 1.0))
    gain = gained((given_rows, champion, champion))
    assert (gain.answer, gain.reason) == ("no", "no_gain")
    for name in DIFFERENCES[:EQUAL]:
        assert gain.differences[name].to_dict() == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("count", "noise", "changes", "expected"),
    [
        (1500, (3.0, 0.3), {}, ("yes", "gain")),
        (1500, (0.3, 3.0), {}, ("no", "no_gain")),
        (1500, (0.3, 3.0), {"seen": True}, ("not_shown", "seen")),
        (1500, (3.0, 0.3), {"seen": True}, ("yes", "gain")),
        (60, (1.0, 1.0), {}, ("not_shown", "wide")),
        (1500, (3.0, 0.3), {"min_positives": 900}, ("not_shown", "few_positives")),
    ],
)
def test_the_answer_says_what_the_interval_shows(
    count: int, noise: tuple[float, float], changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    gain = gained(drawn(count, 5, noise=noise), **changes)
    assert (gain.answer, gain.reason) == expected
    found = gain.differences["pr_auc"]
    assert found.low is not None
    assert found.high is not None
    assert (found.low > 0) == (noise[0] > noise[1])
    assert (found.high < MARGIN) == (expected[1] in ("no_gain", "seen"))


def test_a_gain_that_is_sure_and_smaller_than_the_margin_is_not_worth_it() -> None:
    rng = np.random.default_rng(6)
    target = np.repeat([0, 1], 4000)
    scores = np.where(target == 1, 0.7, 0.3) + rng.uniform(-0.3, 0.3, 8000)
    better = scores.copy()
    positives = np.flatnonzero(target == 1)[:60]
    better[positives] += 0.05
    gain = gained((rows(target), Scored(scores, 0.5), Scored(better, 0.5)), resamples=200)
    found = gain.differences["pr_auc"]
    assert found.low is not None
    assert found.low > 0
    assert (gain.answer, gain.reason) == ("no", "no_gain")


def test_rows_of_one_entity_do_not_pose_as_many_positives() -> None:
    given_rows, champion, challenger = drawn(600, 7, noise=(3.0, 0.3))
    few = Rows(given_rows.target, given_rows.entities % 20, {})
    gain = gained((few, champion, challenger), min_positives=30)
    assert (gain.answer, gain.reason) == ("not_shown", "few_positives")


def test_without_a_positive_nothing_is_shown_and_nothing_is_0() -> None:
    nobody = rows(np.zeros(50, dtype=np.int8))
    scores = Scored(np.linspace(0, 1, 50), 0.5)
    gain = gained((nobody, scores, scores), min_positives=0)
    assert gain.answer == "not_shown"
    undefined = {"value": None, "low": None, "high": None}
    for name in ("pr_auc", "roc_auc", "recall", "recall_equal_flags"):
        assert gain.to_dict()["differences"][name] == undefined
