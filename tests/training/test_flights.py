"""Flights, the second domain, through the same code: no feature's name stands in it."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from registry.configuration import Configuration, load
from training.baselines import refuse_leakage
from training.data import check, read_table
from training.fit import train

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "tests" / "data"
EXTRACT = DATA / "flights_extract.parquet"


@pytest.fixture(scope="module")
def flights() -> Configuration:
    return load(PROJECT / "tests" / "flights.yaml")


def test_the_extract_keeps_the_contract_whole_aircraft_and_every_month(
    flights: Configuration,
) -> None:
    table = read_table(EXTRACT)
    data = check(table, flights)
    assert data.rows + data.unlabelled == len(table) <= 10_000
    assert 0.02 < data.unlabelled / len(table) < 0.04
    assert set(table["period"]) == set(range(1, 10))
    assert table["period"].value_counts(normalize=True).between(0.09, 0.13).all()
    assert table["entity_id"].value_counts().mean() > 60


def test_a_modest_model_comes_of_it(flights: Configuration) -> None:
    training = replace(
        flights.training, candidates=("hist_gradient_boosting",), bootstrap_resamples=100
    )
    data = check(read_table(EXTRACT), flights)
    refuse_leakage(data, flights.schema, training.leakage_auc)
    assert data.periods is not None
    early = data.take(data.periods <= 4)
    done = train(early, replace(flights, training=training), lambda step: None)
    assert done.protocol == "temporal"
    metrics = {name: found.value or 0.0 for name, found in done.evaluation.metrics.items()}
    # The README of the full file: .638 in April from a fit on January to March.
    assert 0.58 < metrics["roc_auc"] < 0.72
    assert metrics["precision"] > done.evaluated.target.mean()


def test_the_extract_is_what_its_script_draws(tmp_path: Path) -> None:
    """Of an extract in the place of the full file: whole aircraft again, and the same twice."""
    script = tmp_path / "make_extract.py"
    script.write_bytes((DATA / "make_extract.py").read_bytes())
    made = []
    for _ in range(2):
        subprocess.run([sys.executable, script, EXTRACT], check=True, capture_output=True)
        made.append((tmp_path / "flights_extract.parquet").read_bytes())
    assert made[0] == made[1]
    rows = pd.read_parquet(tmp_path / "flights_extract.parquet")
    whole = pd.read_parquet(EXTRACT)["entity_id"].value_counts()
    drawn = rows["entity_id"].value_counts()
    assert (drawn == whole[drawn.index]).all()


def test_no_feature_stands_in_code(flights: Configuration) -> None:
    own = load(PROJECT / "configuration.yaml")
    names = {
        name
        for settings in (own, flights)
        for name in (*settings.schema.names, settings.model.target, *dict(settings.schema.derived))
    }
    packages = ("registry", "monitoring", "training", "serving")
    files = [path for package in packages for path in (PROJECT / package).glob("*.py")]
    files = [path for path in files if not path.name.startswith("cohort")]
    assert len(files) > 30
    words = re.compile(rf"\b({'|'.join(sorted(names))})\b")
    for path in [*files, PROJECT / "service.py", PROJECT / "start.py"]:
        code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.DOTALL)
        found = {word for word in words.findall(code) if re.search(rf"[\"']{word}[\"']", code)}
        assert not found, f"{path}: {found}"
