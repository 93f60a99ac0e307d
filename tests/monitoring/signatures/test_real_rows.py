"""The bundled cohort with its faults, and real flights through the seasons."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from monitoring.reference.bins import Column
from monitoring.reference.profile import ReferenceProfile
from monitoring.reference.profiling import build_reference
from monitoring.signatures.search import find
from registry import configuration
from registry.schema import Schema
from registry.state import PROJECT
from training.cohort import PeriodPlan, generate_period

Generator = np.random.Generator
Columns = dict[str, NDArray[Any]]


def typed(rows: pd.DataFrame, schema: Schema) -> dict[str, Column]:
    return {
        feature.name: rows[feature.name]
        .astype(object)
        .where(rows[feature.name].notna(), None)
        .to_numpy()
        if feature.type == "category"
        else rows[feature.name].astype("float64").to_numpy()
        for feature in schema.features
    }


def frozen(rows: pd.DataFrame, schema: Schema) -> ReferenceProfile:
    return build_reference(typed(rows, schema), schema.kinds, np.zeros(len(rows)), len(rows))


@pytest.fixture(scope="module")
def pupils() -> tuple[Schema, ReferenceProfile]:
    schema = configuration.load(PROJECT / "configuration.yaml").schema
    return schema, frozen(generate_period(PeriodPlan(2025, 765, "none", seed=1)).rows, schema)


@pytest.mark.parametrize("rows", [200, 765])
def test_the_four_faults_of_the_cohort_are_named(
    pupils: tuple[Schema, ReferenceProfile], rows: int
) -> None:
    schema, before = pupils
    now = generate_period(PeriodPlan(2026, rows, "bug", seed=2)).rows
    found = find(before, schema, typed(now, schema), entities=rows)
    facts = {signature.feature: (signature.kind, signature.detail) for signature in found}
    assert facts.pop("instituicao")[0] == "unseen"
    assert facts == {
        "nota_mat": ("factor", {"factor": 0.1}),
        "inde": ("stuck", {"value": 7.312}),
        "ipv": ("nulls", {}),
    }


@pytest.mark.parametrize("drift", ["none", "population", "concept"])
@pytest.mark.parametrize("rows", [200, 765])
def test_no_bug_is_named_in_another_cohort(
    pupils: tuple[Schema, ReferenceProfile], drift: Any, rows: int
) -> None:
    schema, before = pupils
    now = generate_period(PeriodPlan(2026, rows, drift, seed=2)).rows
    assert find(before, schema, typed(now, schema), entities=rows) == ()


@pytest.mark.parametrize("month", range(4, 10))
def test_another_season_is_no_bug(month: int) -> None:
    schema = configuration.load(Path(__file__).parents[2] / "flights.yaml").schema
    flights = pd.read_parquet(Path(__file__).parents[2] / "data" / "flights_extract.parquet")
    before, now = flights[flights["period"] <= 3], flights[flights["period"] == month]
    found = find(frozen(before, schema), schema, typed(now, schema), entities=len(now))
    assert found == ()
