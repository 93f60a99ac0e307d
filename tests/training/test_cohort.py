"""The bundled cohort against the schema, the published aggregates and its own next year."""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.cohort import CohortPlan, PeriodPlan, encode, generate, generate_period, main
from training.cohort_faults import DRIFTS, Drift

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = yaml.safe_load((ROOT / "configuration.yaml").read_text())
FEATURES: dict[str, dict[str, Any]] = CONFIGURATION["features"]
YEARS = (2022, 2023, 2024)
LOST_TOGETHER = ["inde", "ieg", "ips", "ipp", "ida", "ipv", "nota_mat", "nota_por", "n_avaliacoes"]


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return generate()


@pytest.fixture(scope="module")
def reference(cohort: pd.DataFrame) -> pd.DataFrame:
    """The latest labelled year: what later rows are held against."""
    return cohort[(cohort["ano"] == 2023) & cohort["em_risco"].notna()]


def gap(rows: pd.DataFrame) -> pd.Series:
    return rows["fase"] - rows["fase_ideal"]


@functools.cache
def rows_of(drift: Drift, *, seed: int = 7) -> pd.DataFrame:
    """800 rows of 2025 with their labels in em_risco."""
    batch = generate_period(PeriodPlan(2025, 800, drift=drift, seed=seed))
    assert batch.rows["em_risco"].isna().all()
    assert list(batch.labels["entity_id"]) == list(batch.rows["aluno_id"])
    return batch.rows.assign(em_risco=batch.labels["label"])


def p_value(name: str, one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Two samples of a feature: nulls or kinds by chi-square, numbers by Kolmogorov-Smirnov."""
    if FEATURES[name]["type"] == "category":
        both = pd.concat([one[name], other[name]], ignore_index=True)
        sample = np.repeat([0, 1], [len(one), len(other)])
        return float(stats.chi2_contingency(pd.crosstab(both, sample)).pvalue)
    a, b = (rows[name].astype(float) for rows in (one, other))
    nulls = [[s.isna().sum() + 1, s.notna().sum() + 1] for s in (a, b)]
    p_nulls = float(stats.chi2_contingency(nulls).pvalue)
    return min(p_nulls, float(stats.ks_2samp(a.dropna(), b.dropna()).pvalue))


def p_of_label_given_gap(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """The smallest p-value, over on track and behind, that the labels' rates are the same."""
    values = []
    for behind in (False, True):
        parts = [rows.loc[(gap(rows) < 0) == behind, "em_risco"] for rows in (one, other)]
        table = [[part.sum(), len(part) - part.sum()] for part in parts]
        values.append(float(stats.chi2_contingency(table).pvalue))
    return min(values)


def assert_contract(rows: pd.DataFrame) -> None:
    model = CONFIGURATION["model"]
    ends = model["entity_column"], model["time_column"], model["target"]
    assert list(rows.columns) == [*ends[:2], *FEATURES, ends[2]]
    for name, feature in FEATURES.items():
        given = rows[name].dropna()
        assert feature.get("optional") or len(given) == len(rows), name
        if feature["type"] == "category":
            continue
        assert given.between(*feature["hard_range"]).all(), name
        if feature["type"] == "integer":
            assert (given == given.round()).all(), name
    assert set(rows["em_risco"].dropna()) <= {0, 1}


def test_cohort_keeps_the_declared_schema_and_hard_ranges(cohort: pd.DataFrame) -> None:
    assert_contract(cohort)
    assert set(cohort["genero"]) == {"F", "M"}
    assert set(cohort.loc[cohort["ano"] == 2022, "instituicao"]) == {"Publica", "Privada"}
    assert cohort["aluno_id"].str.fullmatch(r"A\d{5}").all()
    assert not cohort.duplicated(["aluno_id", "ano"]).any()


@pytest.mark.parametrize("drift", DRIFTS)
def test_every_drift_still_passes_the_hard_ranges(drift: Drift) -> None:
    rows = rows_of(drift)
    assert_contract(rows)
    assert len(rows) == rows["aluno_id"].nunique() == 800
    assert set(rows["ano"]) == {2025}
    assert rows["em_risco"].notna().all()


def test_as_many_pupils_as_published_stay_from_year_to_year(cohort: pd.DataFrame) -> None:
    there = [set(cohort.loc[cohort["ano"] == year, "aluno_id"]) for year in YEARS]
    assert [len(pupils) for pupils in there] == [860, 1010, 1160]
    assert [len(there[0] & there[1]), len(there[1] & there[2])] == [600, 765]


# Published means of the three years and standard deviation; None where none is published.
AGGREGATES = [
    ("inde", (7.2, 7.2, 7.2), (0.9, 0.9, 0.9), 0.25),
    ("iaa", (8.3, 6.9, 8.5), (1.8, 3.6, None), 0.25),
    ("ieg", (7.9, 8.7, 7.4), (1.4, 1.4, 1.4), 0.2),
    ("ips", (6.9, 5.1, 6.8), (1.1, 2.1, None), 0.2),
    ("ipp", (None, 7.6, 7.6), (None, 1.0, 1.0), 0.15),
    ("ida", (6.4, 6.4, 6.4), (1.9, 1.9, 1.9), 0.5),
    ("ipv", (7.3, 8.0, 7.4), (1.0, 1.0, 1.0), 0.15),
    ("ian", (6.4, 7.2, 7.7), (2.4, 2.4, 2.4), 0.3),
    ("nota_mat", (6.1, 6.1, 6.1), (2.3, 2.3, 2.3), 0.5),
    ("nota_por", (6.5, 6.5, 6.5), (1.9, 1.9, 1.9), 0.5),
    ("nota_ing", (6.25, 6.25, 6.25), (2.7, 2.7, 2.7), 0.7),
    ("idade", (12.5, 12.5, 12.5), (None, None, None), 0.5),
    ("anos_pm", (1.5, 1.5, 1.5), (None, None, None), 0.2),
]


@pytest.mark.parametrize(("name", "means", "sds", "tolerance"), AGGREGATES)
def test_means_and_sds_are_near_the_published_ones(
    cohort: pd.DataFrame,
    name: str,
    means: tuple[float | None, ...],
    sds: tuple[float | None, ...],
    tolerance: float,
) -> None:
    for year, mean, sd in zip(YEARS, means, sds, strict=True):
        values = cohort.loc[cohort["ano"] == year, name].dropna()
        if mean is not None:
            assert values.mean() == pytest.approx(mean, abs=tolerance), year
        if sd is not None:
            assert values.std() == pytest.approx(sd, abs=0.3), year


def test_pupils_are_as_far_behind_as_published(cohort: pd.DataFrame) -> None:
    means = gap(cohort).groupby(cohort["ano"]).mean()
    assert list(means) == pytest.approx([-0.94, -0.65, -0.41], abs=0.1)
    assert (gap(cohort).min(), gap(cohort).max()) == (-4, 2)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        *[("ida", 0.79), ("ipv", 0.77), ("ieg", 0.74), ("nota_ing", 0.73), ("nota_mat", 0.68)],
        *[("nota_por", 0.65), ("iaa", 0.42), ("defasagem", 0.42), ("ian", 0.41), ("ips", 0.30)],
        ("idade", -0.27),
    ],
)
def test_correlations_with_the_overall_index(
    cohort: pd.DataFrame, name: str, published: float
) -> None:
    column = gap(cohort) if name == "defasagem" else cohort[name]
    assert column.corr(cohort["inde"]) == pytest.approx(published, abs=0.12)


def test_base_rate_falls_from_the_first_pair_of_years_to_the_second(cohort: pd.DataFrame) -> None:
    rates = cohort.groupby("ano")["em_risco"].mean()
    assert [rates[2022], rates[2023]] == pytest.approx([0.61, 0.40], abs=0.03)


def test_what_is_missing_is_missing_as_published(cohort: pd.DataFrame) -> None:
    for year, lost_share in zip(YEARS, (0.0, 0.075, 0.075), strict=True):
        rows = cohort[cohort["ano"] == year]
        needed = [c for c in LOST_TOGETHER if (year, c) != (2022, "ipp")]
        lost = rows[needed].isna()
        assert (lost.all(axis=1) == lost.any(axis=1)).all()
        assert lost.all(axis=1).mean() == pytest.approx(lost_share, abs=0.005)
        assert rows["ipp"].isna().all() == (year == 2022)
        no_english = rows["nota_ing"].isna()
        assert 0.58 < no_english.mean() < 0.72
        assert rows.loc[no_english, "idade"].mean() < rows.loc[~no_english, "idade"].mean() - 2


def test_later_years_spell_kinds_of_school_in_new_ways(cohort: pd.DataFrame) -> None:
    kinds = [set(cohort.loc[cohort["ano"] == year, "instituicao"]) for year in YEARS]
    assert kinds[1] - kinds[0]
    assert kinds[2] - kinds[1] - kinds[0]
    public = cohort["instituicao"].str.contains("Publica").groupby(cohort["ano"]).mean()
    assert list(public) == pytest.approx([0.84] * 3, abs=0.04)


def test_labels_say_what_the_same_pupils_next_row_shows(cohort: pd.DataFrame) -> None:
    later = cohort.assign(ano=cohort["ano"] - 1, behind=(gap(cohort) < 0).astype(float))
    joined = cohort.merge(later[["aluno_id", "ano", "behind"]], how="left", on=["aluno_id", "ano"])
    expected = joined["behind"].to_numpy()
    found = joined["em_risco"].astype(float).to_numpy()
    np.testing.assert_array_equal(found, expected)
    assert (~np.isnan(found)).sum() == 600 + 765


def test_pupils_age_by_a_year_and_never_lose_a_phase(cohort: pd.DataFrame) -> None:
    steps = cohort.groupby("aluno_id")[["idade", "anos_pm", "fase", "fase_ideal"]].diff().dropna()
    assert set(steps["idade"]) == set(steps["anos_pm"]) == {1}
    assert set(steps["fase"]) == {0, 1, 2}
    assert set(steps["fase_ideal"]) == {0, 1}


def test_adequacy_follows_the_gap(cohort: pd.DataFrame) -> None:
    by_hand = {2: 10, 1: 10, 0: 10, -1: 5, -2: 5, -3: 2.5, -4: 2.5}
    assert (cohort["ian"] == gap(cohort).map(by_hand)).all()


def test_flagging_whoever_is_behind_does_as_well_as_published(cohort: pd.DataFrame) -> None:
    first = cohort[(cohort["ano"] == 2022) & cohort["em_risco"].notna()]
    label, flagged = first["em_risco"].astype(int), gap(first) < 0
    assert recall_score(label, flagged) == pytest.approx(0.84, abs=0.07)
    assert precision_score(label, flagged) == pytest.approx(0.75, abs=0.05)


def test_a_model_of_the_first_pair_ranks_the_second_well_but_not_perfectly(
    cohort: pd.DataFrame,
) -> None:
    known = cohort[cohort["em_risco"].notna()]
    fitted, later = (known[known["ano"] == year] for year in (2022, 2023))
    numbers = [n for n in FEATURES if FEATURES[n]["type"] != "category" and n != "ipp"]
    model = HistGradientBoostingClassifier(random_state=0)
    with threadpool_limits(1):
        model.fit(fitted[numbers].astype(float), fitted["em_risco"].astype(int))
        scores = model.predict_proba(later[numbers].astype(float))[:, 1]
    assert 0.85 < roc_auc_score(later["em_risco"].astype(int), scores) < 0.91


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(cohort: pd.DataFrame) -> None:
    for suffix in (".csv", ".parquet", ".json"):
        first = encode(cohort, suffix)
        assert encode(generate(CohortPlan()), suffix) == first
        assert encode(generate(CohortPlan(seed=CohortPlan.seed + 1)), suffix) != first


def test_batches_have_pupils_of_their_own(cohort: pd.DataFrame) -> None:
    plans = [PeriodPlan(2025, 50), PeriodPlan(2026, 50), PeriodPlan(2025, 50, seed=1)]
    plans += [PeriodPlan(2025, 50, drift="concept")]
    ids = [set(generate_period(plan).rows["aluno_id"]) for plan in plans]
    assert len(set.union(*ids, set(cohort["aluno_id"]))) == 4 * 50 + cohort["aluno_id"].nunique()
    drawn = [cohort, *(generate_period(plan).rows for plan in plans[:3])]
    looks = [set(zip(rows["inde"].dropna(), rows["ipv"].dropna(), strict=True)) for rows in drawn]
    assert len(set.union(*looks)) == sum(len(pupils) for pupils in looks)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_without_drift_later_rows_look_like_the_latest_labelled_year(
    reference: pd.DataFrame, seed: int
) -> None:
    rows = rows_of("none", seed=seed)
    found = [p_value(name, rows, reference) for name in FEATURES]
    assert min(found) * len(FEATURES) * 2 > 0.05
    assert p_of_label_given_gap(rows, reference) > 0.01


def test_population_drift_is_a_younger_cohort_of_newcomers(reference: pd.DataFrame) -> None:
    rows = rows_of("population")
    for name in ("idade", "fase", "fase_ideal", "anos_pm"):
        assert p_value(name, rows, reference) < 1e-9
        assert rows[name].mean() < reference[name].mean()
    assert (rows["anos_pm"] == 0).mean() > 0.6
    assert rows["idade"].mean() < reference["idade"].mean() - 1
    for name in ("genero", "instituicao", "ips"):
        assert p_value(name, rows, reference) > 0.01


def test_a_bug_damages_four_columns_and_no_other(reference: pd.DataFrame) -> None:
    good, bad = rows_of("none"), rows_of("bug")
    damaged = ["nota_mat", "inde", "ipv", "instituicao"]
    same = [name for name in FEATURES if name not in damaged]
    pd.testing.assert_frame_equal(bad[same], good[same])
    assert (good["em_risco"] == bad["em_risco"]).all()
    np.testing.assert_allclose(bad["nota_mat"], good["nota_mat"] / 10, atol=0.0051)
    assert bad["inde"].nunique() == 1
    assert bad["ipv"].isna().mean() == pytest.approx(0.6, abs=0.06)
    assert set(bad["instituicao"]).isdisjoint(reference["instituicao"])


def test_concept_drift_changes_the_labels_and_no_feature(reference: pd.DataFrame) -> None:
    none, concept = rows_of("none"), rows_of("concept")
    pd.testing.assert_frame_equal(concept[list(FEATURES)], none[list(FEATURES)])
    assert p_of_label_given_gap(concept, reference) < 1e-9
    behind = [recall_score(r["em_risco"].astype(int), gap(r) < 0) for r in (none, concept)]
    assert behind[1] < behind[0] - 0.15


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"period": 2023, "rows": 5}, "period must be 2024 to 2099, got 2023"),
        ({"period": 2025, "rows": 0}, "rows must be 1 to 200000, got 0"),
        ({"period": 2025, "rows": 5, "drift": "more"}, "drift must be one of none, population"),
        ({"period": 2025, "rows": 5, "seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_an_impossible_batch_is_refused(plan: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PeriodPlan(**plan)


def test_more_pupils_cannot_stay_than_there_are() -> None:
    with pytest.raises(ValueError, match="2000 pupils cannot stay from 860 to 1010"):
        CohortPlan(kept=(2000, 765))


def run(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.cohort", *flags]
    return subprocess.run(
        command, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )


def test_command_writes_a_body_for_predict_and_its_labels(tmp_path: Path) -> None:
    flags = ["--rows", "40", "--period", "2025", "--drift", "none", "--seed", "3"]
    done = run(*flags, "--output", "rows.json", "--labels", "labels.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    labels = pd.read_csv(tmp_path / "labels.csv")
    rate = labels["label"].mean()
    written = "wrote rows.json and labels.csv: 40 rows"
    assert done.stdout == f"{written}, base rate {rate:.3f} of 40 labels\n"
    assert list(labels) == ["entity_id", "period", "label", "observed_at"]
    assert set(labels["observed_at"]) == {"2026-03-01T00:00:00Z"}
    text = (tmp_path / "rows.json").read_text()
    instances = json.loads(text)["instances"]
    assert [row["entity_id"] for row in instances] == list(labels["entity_id"])
    assert all(set(row) == {"entity_id", "period", *FEATURES} for row in instances)
    assert {row["period"] for row in instances} == set(labels["period"]) == {2025}
    assert all(type(row["period"]) is int for row in instances)
    assert any(row["nota_ing"] is None for row in instances)
    assert all(type(row["idade"]) is int for row in instances)
    assert "NaN" not in text
    again = ["--output", str(tmp_path / "again.json")]
    assert main([*flags, *again]) == 0
    assert (tmp_path / "again.json").read_text() == text


def test_command_without_a_period_writes_the_whole_cohort(
    tmp_path: Path, cohort: pd.DataFrame
) -> None:
    done = run("--output", "all.csv", "--labels", "labels.parquet", cwd=tmp_path)
    assert done.returncode == 0
    read = pd.read_csv(tmp_path / "all.csv")
    pd.testing.assert_frame_equal(read, cohort, check_dtype=False)
    labels = pd.read_parquet(tmp_path / "labels.parquet")
    assert labels["period"].value_counts().to_dict() == {2022: 600, 2023: 765}


def test_parquet_keeps_values_and_nulls(tmp_path: Path, cohort: pd.DataFrame) -> None:
    assert main(["--output", str(tmp_path / "all.parquet")]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "all.parquet"), cohort)


def test_command_refuses_a_wrong_flag_in_one_line(tmp_path: Path) -> None:
    done = run("--rows", "many", "--period", "2025", "--output", "rows.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    said = "python -m training.cohort: error: argument --rows: invalid int value: 'many'\n"
    assert done.stderr == said


def test_command_says_which_file_it_cannot_write(tmp_path: Path) -> None:
    done = run("--output", "missing/rows.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    said = "error: cannot write missing/rows.csv: No such file or directory\n"
    assert done.stderr == f"python -m training.cohort: {said}"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output", "rows.txt"], "--output must end in .csv, .parquet or .json, got 'rows.txt'"),
        (["--output", "a.csv", "--labels", "b.json"], "--labels must end in .csv or .parquet"),
        (["--output", "a.csv", "--labels", "a.csv"], "--labels and --output are the same file"),
        (["--output", "a.csv", "--rows", "5"], "--rows and --period go together"),
        (["--output", "a.csv", "--period", "2025"], "--rows and --period go together"),
        (["--output", "a.csv", "--drift", "bug"], "--drift needs --rows and --period"),
        (["--output", "a.csv", "--rows", "0", "--period", "2025"], "rows must be 1 to 200000"),
        (["--output", "a.csv", "--rows", "5", "--period", "1999"], "period must be 2024 to 2099"),
        (["--output", "a.csv", "--seed", "-1"], "seed must be 0 or more, got -1"),
        (["--output", "a.csv", "--drift", "some"], "argument --drift: invalid choice: 'some'"),
        ([], "the following arguments are required: --output"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(flags)
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("python -m training.cohort: error: " + said)
    assert err.count("\n") == 1
