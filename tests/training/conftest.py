"""Two versions that the retraining registered itself, made once."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.log.writing import SECRET_VARIABLE
from tests.training.places import Place, rows
from tests.training.tiny import content


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """v1.0.0, which has learnt the opposite, then v1.1.0, which has not: what the commands said."""
    folder = tmp_path_factory.mktemp("retrain")
    place = Place(folder)
    place.temporary.mkdir()
    settings = content(bootstrap_resamples=200)
    place.configuration.write_text(yaml.safe_dump(settings, sort_keys=False))
    bad, good = rows(folder, "bad.csv", wrong=(9, 10)), rows(folder, "good.csv", seed=3)
    forced = ["--promote", "--force", "--reason", "a first one"]
    return {
        "place": place,
        "first": place.run("--new_version", "v1.0.0", "--data", bad, *forced),
        "second": place.run("--new-version", "v1.1.0", "--data", good, "--promote", "--json"),
        "good": good,
    }


@pytest.fixture
def place(made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place of the test's own; v1.1.0, a good model, is its champion."""
    found = Place(tmp_path / "place")
    shutil.copytree(made["place"].folder, found.folder)
    monkeypatch.chdir(found.folder)
    for name in ("BENTOML_HOME", "DATATHON_CONFIGURATION", SECRET_VARIABLE):
        monkeypatch.setenv(name, found.variables[name])
    return found
