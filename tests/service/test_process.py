"""What a parent settles for its workers, which run in another folder."""

import os
from pathlib import Path

import pytest

from serving.process import fix_home


def test_relative_paths_of_the_parent_are_absolute_for_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENTOML_HOME", "home")
    monkeypatch.setenv("DATATHON_CONFIGURATION", "mine.yaml")
    fix_home(tmp_path / "home")
    assert os.environ["BENTOML_HOME"] == str(tmp_path / "home")
    assert os.environ["DATATHON_CONFIGURATION"] == str(tmp_path / "mine.yaml")


@pytest.mark.parametrize("configuration", [None, ""])
def test_what_is_not_set_stays_so(
    configuration: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    monkeypatch.delenv("DATATHON_CONFIGURATION", raising=False)
    if configuration is not None:
        monkeypatch.setenv("DATATHON_CONFIGURATION", configuration)
    fix_home(tmp_path)
    assert "BENTOML_HOME" not in os.environ
    assert os.environ.get("DATATHON_CONFIGURATION") == configuration
