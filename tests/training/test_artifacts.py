"""A version's files: complete, reproducible, true to the run, and never half-written."""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from monitoring.performance.evaluation import METRICS
from monitoring.reference.profile import ReferenceProfile
from registry import held_out, loaded, manifest, serialization
from registry.configuration import CANDIDATES
from registry.pipeline import columns_of, frame_of
from registry.schema import Schema
from registry.validation import RowValidator
from tests.training.tiny import configuration, table, trained, write_configuration
from training import artifacts
from training.errors import TrainingError
from training.train import main

PROJECT = Path(__file__).resolve().parents[2]
FILES = {
    *("pipeline.skops", "model.json", "schema.json", "metrics.json", "reference.json"),
    *("golden.json", "model_card.md", "provenance.json", "manifest.json"),
    *("calibration.png", "precision_recall.png"),
    *("calibration.json", "reference_rows.json", "held_out.parquet"),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def document(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags that name the rows and the configuration."""
    folder = tmp_path_factory.mktemp("inputs")
    table().to_parquet(folder / "rows.parquet")
    settings = write_configuration(folder / "loans.yaml", bootstrap_resamples=200)
    return ["--data", str(folder / "rows.parquet"), "--configuration", str(settings)]


@pytest.fixture(scope="module")
def made(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "artifacts"
    assert main([*inputs, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def old(made: Path, tmp_path: Path) -> Path:
    """A copy of the artefacts that a new run would replace, alone in its folder."""
    return Path(shutil.copytree(made, tmp_path / "place" / "artifacts"))


def train_in_background(arguments: list[str], **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "training.train", *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_every_part_of_a_version_is_there_and_verifies(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == FILES
    manifest.read_verified(made, held_out=True)
    loaded.load(made, "v1.0.0", manifest.digest_of(made), max_rows=10, held_out=True)
    assert Schema.from_dict(document(made, "schema.json")) == configuration().schema
    reference = ReferenceProfile.from_dict(document(made, "reference.json"))
    assert reference.rows == document(made, "metrics.json")["rows"]


_TRAIN_ALL = """
import sys
from training.train import main
settings, rows, output, *names = sys.argv[1:]
for name in names:
    call = ["--data", rows, "--configuration", f"{settings}/{name}.yaml"]
    assert main([*call, "--output", f"{output}/{name}"]) == 0
"""


@pytest.mark.long
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    table().to_parquet(rows)
    for name in CANDIDATES:
        write_configuration(tmp_path / f"{name}.yaml", candidates=[name])
    for run, (hash_seed, threads) in enumerate([("1", "1"), ("77", "2")]):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads}
        arguments = [str(tmp_path), str(rows), str(tmp_path / str(run)), *CANDIDATES]
        command = [sys.executable, "-c", _TRAIN_ALL, *arguments]
        subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True)
    for name in CANDIDATES:
        one, other = (contents(tmp_path / str(run) / name) for run in (0, 1))
        assert one.keys() == other.keys() == FILES
        differ = {file for file in FILES if one[file] != other[file]}
        assert differ <= {"provenance.json", "manifest.json"}, name


def test_golden_rows_reproduce_their_scores_after_loading(made: Path) -> None:
    golden = document(made, "golden.json")
    schema = Schema.from_dict(document(made, "schema.json"))
    rows = RowValidator(schema, 100).validate(golden["instances"])
    pipeline = serialization.load((made / "pipeline.skops").read_bytes())
    frame = frame_of(columns_of(schema, [row.values for row in rows]))
    assert pipeline.predict_proba(frame)[:, 1].tolist() == golden["scores"]
    assert len(set(golden["scores"])) > 12


def test_golden_rows_are_nobodys() -> None:
    """Two columns of a few values, where drawing column by column alone would hit real rows."""
    frame = table(240).assign(debt=None, age=None, shop=None)
    frame["income"] = np.arange(240) % 30 + np.where(frame["region"] == "N", 0.0, 0.5)
    done = trained(frame)
    golden = artifacts._golden(done, configuration())
    real = set(zip(frame["income"], frame["region"], strict=True))
    for instance in golden["instances"]:
        assert (instance["income"], instance["region"]) not in real
        assert instance["region"] in ("N", "S")


def test_where_every_combination_is_somebodys_there_are_golden_rows_all_the_same() -> None:
    frame = table(240).assign(debt=None, age=None, shop=None, income=np.arange(240) % 4 + 1.0)
    assert len(artifacts._golden(trained(frame), configuration())["scores"]) == 24


def test_the_card_says_what_the_metrics_say(made: Path) -> None:
    card = (made / "model_card.md").read_text()
    metrics = document(made, "metrics.json")
    model = document(made, "model.json")
    rows = [re.split(r" *\| *", line)[1:-1] for line in card.splitlines() if line[:2] == "| "]
    by_title = {row[0]: row[1:] for row in rows}
    titles = ("recall", "precision", "PR-AUC", "ROC-AUC", "Brier score", "calibration error (ECE)")
    columns = [metrics, *metrics["baselines"].values()]
    for name, title in zip(METRICS, titles, strict=True):
        expected = []
        for column in columns:
            found = column["metrics"][name]
            if found["value"] is None:
                expected.append("undefined")
            else:
                expected.append(f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})")
        assert by_title[title] == expected
    counts = [f"{column['flagged']} of {column['rows']}" for column in columns]
    assert by_title["rows flagged"] == counts
    (average_precision,) = metrics["candidates"]["logistic_regression"]
    assert by_title["logistic_regression (chosen)"] == [f"{average_precision:.4f}"]
    assert f"Threshold {model['threshold']:.6f}" in card
    assert f"Fitted on {metrics['fitted_rows']} rows of `month` 9; evaluated on 10" in card
    assert f"on {metrics['rows']} rows that it was not fitted on" in card
    assert by_title["burden"] == ["`debt / income`"]


def test_provenance_names_the_data_the_periods_and_the_libraries(made: Path) -> None:
    facts = document(made, "provenance.json")
    assert facts["data"]["name"] == "rows.parquet"
    assert facts["data"]["rows"] == 240
    assert re.fullmatch("[0-9a-f]{64}", facts["data"]["sha256"])
    assert (facts["fitted"]["periods"], facts["evaluated"]["periods"]) == (["9"], ["10"])
    assert facts["fitted"]["rows"] + facts["evaluated"]["rows"] == 220
    assert facts["libraries"].keys() >= {"scikit-learn", "skops", "numpy"}


def test_periods_in_provenance_stand_in_their_order() -> None:
    done = trained(table(300, months=(9, 10, 11)))
    facts = artifacts._provenance(done, configuration(), {})
    assert facts["fitted"]["periods"] == ["9", "10"]


def test_the_rows_that_evaluated_stand_beside_the_version_without_ids(
    inputs: list[str], made: Path
) -> None:
    """Month 10 evaluates; a customer is called C and a number."""
    facts = document(made, "provenance.json")["held_out"]
    assert facts["sha256"] == hashlib.sha256((made / held_out.FILE).read_bytes()).hexdigest()
    held = held_out.read(made / held_out.FILE, facts["sha256"])
    rows = table()
    later = rows[(rows["month"] == 10) & rows["unpaid"].notna()]
    assert (facts["rows"], facts["protocol"], held.protocol) == (len(later), *["temporal"] * 2)
    assert held.target.tolist() == later["unpaid"].tolist()
    assert held.columns["income"].tolist() == later["income"].tolist()
    assert held.columns["region"].tolist() == later["region"].tolist()
    assert held.columns.keys() == set(configuration().schema.names)
    same = later["customer"].to_numpy()[:, None] == later["customer"].to_numpy()
    assert np.array_equal(held.entities[:, None] == held.entities, same)
    assert sorted(set(held.entities)) == list(range(later["customer"].nunique()))
    stored = json.dumps([part.tolist() for part in (*held.columns.values(), held.entities)])
    assert not re.search(r"C\d", stored)
    recall = (held.target * (held.scores >= document(made, "model.json")["threshold"])).sum()
    expected = document(made, "metrics.json")["metrics"]["recall"]["value"]
    assert recall / held.target.sum() == pytest.approx(expected, abs=1e-6)
    assert (made / held_out.FILE).stat().st_mode & 0o777 == 0o640
    assert held_out.FILE not in document(made, "manifest.json")["files"]


def test_pictures_open(made: Path) -> None:
    for name in ("calibration.png", "precision_recall.png"):
        height, width, _ = matplotlib.image.imread(made / name).shape
        assert (height, width) == (550, 550)


def test_a_new_run_replaces_the_old_artefacts_and_nothing_else(
    inputs: list[str], old: Path
) -> None:
    (old / "model_card.md").write_text("an older one")
    (old.parent / "notes.txt").write_text("mine")
    assert main([*inputs, "--output", str(old)]) == 0
    manifest.read_verified(old, held_out=True)
    assert sorted(path.name for path in old.parent.iterdir()) == ["artifacts", "notes.txt"]


def test_through_a_link_the_target_is_replaced(inputs: list[str], old: Path) -> None:
    (old / "model_card.md").write_text("an older one")
    link = old.parent / "current"
    link.symlink_to(old, target_is_directory=True)
    assert main([*inputs, "--output", str(link)]) == 0
    assert link.is_symlink()
    manifest.read_verified(old, held_out=True)
    assert sorted(path.name for path in old.parent.iterdir()) == ["artifacts", "current"]


@pytest.mark.parametrize("mine", ["notes.txt", "site/manifest.json"])
def test_a_folder_that_holds_anything_else_is_refused_before_training(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mine: str
) -> None:
    """A manifest.json is no proof: web pages have one, too."""
    output = tmp_path / "work"
    (output / mine).parent.mkdir(parents=True)
    (output / mine).write_text("{}")
    (output / "manifest.json").write_bytes((made / "manifest.json").read_bytes())
    assert main(["--data", str(tmp_path / "missing.csv"), "--output", str(output)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "which is no artefact; choose another --output" in line
    assert (output / mine).read_text() == "{}"


def test_a_file_in_the_way_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "artifacts").write_text("mine")
    assert main(["--output", str(tmp_path / "artifacts")]) == 2
    assert "is a file; choose another --output" in capsys.readouterr().err
    assert (tmp_path / "artifacts").read_text() == "mine"


def test_when_the_last_rename_fails_the_old_artefacts_come_back(old: Path) -> None:
    before = contents(old)
    with pytest.raises(FileNotFoundError):
        artifacts._replace(old, old.with_name("never-written"))
    assert contents(old) == before
    assert [path.name for path in old.parent.iterdir()] == ["artifacts"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="artifacts: cannot be made in"):
        artifacts.write(trained(), configuration(), {}, tmp_path / "file" / "artifacts")


@pytest.mark.parametrize("has_old", [False, True])
def test_ctrl_c_during_training_leaves_nothing_behind(
    inputs: list[str], made: Path, tmp_path: Path, has_old: bool
) -> None:
    output = tmp_path / "place" / "artifacts"
    output.parent.mkdir()
    if has_old:
        shutil.copytree(made, output)
    settings = write_configuration(tmp_path / "slow.yaml", bootstrap_resamples=10_000_000)
    call = [*inputs, "--output", str(output), "--configuration", str(settings)]
    with train_in_background(call) as process:
        assert process.stdout is not None
        assert any("evaluate on" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "stopped; nothing was written\n"
    assert [path.name for path in output.parent.iterdir()] == ["artifacts"] * has_old
    assert not has_old or contents(output) == contents(made)


def test_a_disk_that_is_full_leaves_the_old_artefacts_untouched(
    inputs: list[str], old: Path
) -> None:
    """No file may grow past 8 kB in that process, as when a disk fills up while it writes."""
    before = contents(old)
    process = train_in_background(
        [*inputs, "--output", str(old)],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors == f"error: {old}: File too large\n"
    assert contents(old) == before
    assert [path.name for path in old.parent.iterdir()] == ["artifacts"]
