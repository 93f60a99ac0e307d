"""What one feature's drift does to the score, against models whose truth is known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm, wasserstein_distance

from monitoring.drift.comparison import compare
from monitoring.drift.explanation import Explained, explain, put_back
from monitoring.reference.bins import Coded, Column, NumericBins
from monitoring.reference.profile import ReferenceProfile
from monitoring.reference.profiling import build_reference
from registry.configuration import DriftLimits
from registry.loaded import LoadedVersion, load
from registry.schema import Feature, Schema
from registry.scoring import Scores
from registry.validation import RowValidator, Value
from tests.artefacts import build, tiny_rows

NAN = float("nan")
ROWS = 4000


class Logistic:
    """Known weights; a null counts as 0, a text by the table of its feature. It refuses values
    that are not of the schema's types, as a scorer may."""

    def __init__(self, schema: Schema, weights: Mapping[str, float | Mapping[str, float]]) -> None:
        self._features = schema.features
        self._weights = weights

    def score(self, rows: Sequence[tuple[Value, ...]]) -> Scores:
        return expit(np.array([self._logit(row) for row in rows]))

    def _logit(self, row: tuple[Value, ...]) -> float:
        logit = 0.0
        for feature, value in zip(self._features, row, strict=True):
            expected = {"category": str, "integer": int, "number": float}[feature.type]
            assert value is None or type(value) is expected, (feature.name, value)
            weight = self._weights.get(feature.name, 0.0)
            if isinstance(weight, Mapping):
                logit += weight.get(str(value), 0.0)
            elif value is not None:
                logit += weight * float(value)
        return logit


def version(
    kinds: Mapping[str, Any], weights: Mapping[str, float | Mapping[str, float]], **ranges: Any
) -> LoadedVersion:
    schema = Schema(tuple(Feature(name, kind, "", True, **ranges) for name, kind in kinds.items()))
    return LoadedVersion(
        model="known",
        version="v1.0.0",
        digest="",
        threshold=0.5,
        schema=schema,
        schema_digest=schema.digest(),
        validator=RowValidator(schema, 1),
        scorer=Logistic(schema, weights),
        metrics={},
        provenance={},
        examples=(),
    )


def reference(columns: Mapping[str, Column], kinds: Mapping[str, Any]) -> ReferenceProfile:
    rows = len(next(iter(columns.values())))
    return build_reference(columns, kinds, np.linspace(0, 1, rows), rows)


def normal(seed: int, mean: float = 0.0, rows: int = ROWS) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, size=rows)


def mean_score(weight: float, mean: float) -> float:
    """Of sigmoid(weight * x) over x normal with this mean, by quadrature."""
    return float(quad(lambda x: expit(weight * x) * norm.pdf(x, mean), -12, 12)[0])


def one(known: LoadedVersion, before: Column, now: Column, *, shape: bool = True) -> Explained:
    """The effect of the version's only feature."""
    (feature,) = known.schema.features
    profile = reference({feature.name: before}, {feature.name: feature.type})
    if not shape:
        plain = tuple(replace(item, shape=None) for item in profile.features)
        profile = replace(profile, features=plain)
    return explain(known, profile, {feature.name: now}, [feature.name], seed=1)[feature.name]


@pytest.mark.parametrize("shape", [True, False], ids=["quantiles", "bins only"])
@pytest.mark.parametrize("weight", [0.5, -1.0, 2.0])
def test_a_shift_of_one_sd_has_the_analytic_effect(weight: float, shape: bool) -> None:
    found = one(version({"x": "number"}, {"x": weight}), normal(0), normal(1, 1.0), shape=shape)
    effect = mean_score(weight, 1.0) - mean_score(weight, 0.0)
    assert found.shift == pytest.approx(effect, abs=0.012)
    # Every row moves the same way, so that the size of the movement is the shift's.
    assert found.moved == pytest.approx(abs(found.shift), rel=0.02)


def test_the_feature_of_the_largest_psi_explains_nothing_if_the_model_ignores_it() -> None:
    kinds = dict.fromkeys(("strong", "weak", "ignored"), "number")
    known = version(kinds, {"strong": 2.0, "weak": 0.5})
    profile = reference({name: normal(i) for i, name in enumerate(kinds)}, kinds)
    window = {"strong": normal(3, 0.5), "weak": normal(4, 0.6), "ignored": normal(5, 3.0)}
    report = compare(profile, window, normal(6) * 0 + 0.5, ROWS, DriftLimits())
    assert max(report.features, key=lambda feature: feature.psi).name == "ignored"
    found = explain(known, profile, window, ["ignored", "weak", "strong"], seed=0)
    assert list(found) == ["ignored", "weak", "strong"]
    assert found["ignored"] == Explained("ignored", 0.0, 0.0)
    assert found["strong"].moved > 2 * found["weak"].moved > 0.05


@pytest.mark.parametrize("shape", [True, False], ids=["quantiles", "bins only"])
def test_putting_back_what_did_not_drift_hardly_moves_a_score(shape: bool) -> None:
    found = one(version({"x": "number"}, {"x": 1.0}), normal(0), normal(1), shape=shape)
    drifted = one(version({"x": "number"}, {"x": 1.0}), normal(0), normal(1, 0.5), shape=shape)
    assert found.moved < 0.015 < 0.05 < drifted.moved


def test_the_effect_of_one_feature_does_not_depend_on_which_others_are_asked_for() -> None:
    kinds = {"x": "number", "y": "number"}
    known = version(kinds, {"x": 1.0, "y": 1.0})
    profile = reference({"x": normal(0), "y": normal(1)}, kinds)
    window = {"x": np.round(normal(2, 1.0)), "y": normal(3, 1.0)}
    both = explain(known, profile, window, ["y", "x"], seed=0)
    assert both["x"] == explain(known, profile, window, ["x"], seed=0)["x"]


def test_new_nulls_are_explained_by_what_the_values_were_worth() -> None:
    rng = np.random.default_rng(0)
    before = 2 + normal(1) * 0.5
    before[rng.uniform(size=ROWS) < 0.1] = NAN
    now = 2 + normal(2) * 0.5
    now[rng.uniform(size=ROWS) < 0.6] = NAN
    found = one(version({"x": "number"}, {"x": 1.0}), before, now)
    worth = quad(lambda x: expit(x) * norm.pdf(x, 2, 0.5), -2, 6)[0] - 0.5
    assert found.shift == pytest.approx(-0.5 * worth, abs=0.015)
    # Nulls that vanish are the same thing the other way round.
    assert one(version({"x": "number"}, {"x": 1.0}), now, before).shift == pytest.approx(
        0.5 * worth, abs=0.015
    )


def test_a_column_that_became_null_altogether_or_is_missing_gets_its_values_back() -> None:
    known = version({"x": "number", "y": "number"}, {"x": 1.0, "y": 1.0})
    kinds = known.schema.kinds
    profile = reference({"x": normal(0, 2.0), "y": normal(1)}, kinds)
    y = np.zeros(ROWS)
    for window in ({"x": np.full(ROWS, NAN), "y": y}, {"y": y}):
        found = explain(known, profile, window, ["x"], seed=0)["x"]
        assert found.shift == pytest.approx(0.5 - mean_score(1.0, 2.0), abs=0.005)


def test_a_column_that_was_never_known_becomes_null_again() -> None:
    found = one(version({"x": "number"}, {"x": 1.0}), np.full(100, NAN), np.full(100, 3.0))
    assert found.shift == pytest.approx(expit(3.0) - 0.5)


def test_a_constant_that_changed_is_put_back_exactly() -> None:
    known = version({"x": "number"}, {"x": 1.0})
    for shape in (True, False):
        found = one(known, np.full(500, 3.0), np.full(500, 2.5), shape=shape)
        assert found.shift == pytest.approx(expit(2.5) - expit(3.0), abs=1e-9)


def test_a_stuck_value_is_spread_out_again() -> None:
    known = version({"x": "number"}, {"x": 1.0})
    found = one(known, normal(0, 1.0), np.full(ROWS, 1.0))
    assert found.shift == pytest.approx(expit(1.0) - mean_score(1.0, 1.0), abs=0.005)
    spread = quad(lambda x: abs(expit(x) - expit(1)) * norm.pdf(x, 1), -11, 13)[0]
    assert found.moved == pytest.approx(spread, abs=0.01)


def test_levels_that_were_never_seen_become_the_levels_of_the_reference() -> None:
    weights = {"k": {"a": 1.0, "b": -1.0, "A": 3.0}}
    known = version({"k": "category"}, weights)
    rng = np.random.default_rng(0)
    before = rng.choice(np.array(["a", "b"], dtype=object), ROWS, p=[0.7, 0.3])
    now = np.where(before == "a", "A", before)
    expected = 0.7 * (expit(3.0) - expit(1.0))
    codes = np.array([{"A": 0, "b": 1}[level] for level in now], dtype=np.int32)
    for column in (now, Coded(codes, ("A", "b"))):
        found = one(known, before, column)
        assert found.shift == pytest.approx(expected, abs=0.01)
        assert found.moved == pytest.approx(expected, abs=0.01)


def test_a_category_that_became_null_gets_its_levels_back() -> None:
    known = version({"k": "category"}, {"k": {"a": 1.0, "b": -1.0}})
    before = np.array(["a"] * 60 + ["b"] * 20 + [None] * 20, dtype=object)
    found = one(known, before, np.full(100, None, dtype=object))
    assert found.shift == pytest.approx(0.5 - 0.6 * expit(1) - 0.2 * expit(-1) - 0.1, abs=1e-12)


levels = st.sampled_from(["a", "b", "c", "rare", "new", None])


@settings(max_examples=100)
@given(st.lists(levels, min_size=30, max_size=80), st.lists(levels, min_size=1, max_size=60))
def test_no_more_rows_change_their_level_than_the_shares_ask_for(
    before: list[str | None], now: list[str | None]
) -> None:
    texts = np.array(now, dtype=object)
    (profile,) = reference({"k": before}, {"k": "category"}).features
    feature = Feature("k", "category", "", True)
    back = put_back(profile, feature, texts, np.random.default_rng(0))
    assert set(back) <= set(before) | set(now)
    counted, held = profile.count(back), profile.count(texts)
    changed = np.count_nonzero(np.array([a != b for a, b in zip(back, now, strict=True)]))
    assert changed == np.abs(counted - held).sum() / 2
    named = np.arange(len(held)) != len(held) - 2  # all but UNSEEN, which nobody can be given
    expected = np.array(profile.counts)[named] / max(sum(np.array(profile.counts)[named]), 1)
    if expected.sum():
        np.testing.assert_allclose(counted[named], expected * counted[named].sum(), atol=1)


@settings(max_examples=100)
@given(
    st.lists(st.integers(-5, 40) | st.none(), min_size=30, max_size=200),
    st.lists(st.integers(-50, 400) | st.none(), min_size=1, max_size=100),
    st.booleans(),
)
def test_integers_keep_their_order_and_stay_integers_within_their_range(
    before: list[int | None], now: list[int | None], has_shape: bool
) -> None:
    feature = Feature("x", "integer", "", True, hard_range=(-5, 40))
    (profile,) = reference({"x": np.array(before, dtype=float)}, {"x": "integer"}).features
    if not has_shape:
        profile = replace(profile, shape=None)
    x = np.array(now, dtype=float)
    back = put_back(profile, feature, x, np.random.default_rng(0)).astype(float)
    assert isinstance(profile.bins, NumericBins)
    known = ~np.isnan(back)
    wanted = len(now) - round(len(now) * profile.null_share)
    if wanted and not (profile.shape or profile.bins.edges or profile.bins.atoms):
        np.testing.assert_array_equal(back, x)  # nothing is known of the values
        return
    assert np.count_nonzero(known) == wanted
    assert np.all((back[known] >= -5) & (back[known] <= 40) & (back[known] % 1 == 0))
    both = known & ~np.isnan(x)
    assert np.all(np.diff(back[both][np.lexsort((back[both], x[both]))]) >= 0)


def test_the_distribution_put_back_is_the_references_as_near_as_its_quantiles_tell() -> None:
    rng = np.random.default_rng(0)
    before = np.where(rng.uniform(size=5000) < 0.3, 0.0, rng.gamma(2, 2, 5000))  # zero-inflated
    (profile,) = reference({"x": before}, {"x": "number"}).features
    feature = Feature("x", "number", "")
    back = put_back(profile, feature, rng.gamma(5, 5, 3000), rng).astype(float)
    assert wasserstein_distance(before, back) < 0.01 * before.std() + 0.02
    assert np.mean(back == 0) == pytest.approx(0.3, abs=0.02)
    least = before[before > 0].min()
    assert not np.any((back > 0) & (back < least * (1 - 1e-6)))  # nothing is made up in the gap


def test_bins_reach_no_further_than_the_usual_range() -> None:
    feature = Feature("x", "number", "", soft_range=(-1.5, 1.5))
    (profile,) = reference({"x": normal(0)}, {"x": "number"}).features
    rng = np.random.default_rng(0)
    back = put_back(replace(profile, shape=None), feature, normal(1, 5), rng).astype(float)
    assert -1.5 <= back.min() < -1.3
    assert 1.3 < back.max() <= 1.5


def test_a_sample_without_rows_or_of_unequal_columns_or_an_unknown_feature_is_an_error() -> None:
    known = version({"x": "number"}, {"x": 1.0})
    profile = reference({"x": normal(0)}, {"x": "number"})
    with pytest.raises(ValueError, match="needs rows"):
        explain(known, profile, {"x": np.empty(0)}, ["x"], seed=0)
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        explain(known, profile, {"x": np.zeros(2), "z": np.zeros(1)}, ["x"], seed=0)
    with pytest.raises(ValueError, match="z: not a feature"):
        explain(known, profile, {"x": np.zeros(2)}, ["z"], seed=0)


def test_a_real_version_is_moved_by_the_feature_that_its_label_depends_on(tmp_path: Path) -> None:
    loaded = load(build(tmp_path / "artefacts"), "v1.0.0", None, 1000, held_out=True)
    frame = tiny_rows(3, rows=3000)
    columns = {name: frame[name].to_numpy() for name in loaded.schema.names}
    profile = reference(columns, loaded.schema.kinds)
    later = tiny_rows(4, rows=2500)
    window = {name: later[name].to_numpy() for name in loaded.schema.names}
    window["mark"] = np.clip(window["mark"] - 2, 0, 10)
    window["school"] = np.full(2500, "PUBLIC", dtype=object)
    found = explain(loaded, profile, window, ["age", "school", "mark"], seed=0)

    def scored(marks: NDArray[np.float64]) -> Scores:
        whole = zip(later["age"], marks, window["school"], strict=True)
        rows = [(int(a), None if m != m else float(m), str(s)) for a, m, s in whole]
        return loaded.scorer.score(rows)

    truth = scored(window["mark"]) - scored(later["mark"].to_numpy())
    assert truth.mean() > 0.1
    assert found["mark"].shift == pytest.approx(truth.mean(), abs=0.02)
    assert found["mark"].moved > max(found["age"].moved, found["school"].moved)
    assert found["age"].moved < 0.02  # it did not drift
