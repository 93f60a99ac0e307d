"""A home whose log is known."""

from pathlib import Path

import pytest

from tests.monitoring.labels import given


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of `given`, under the environment that the commands read."""
    given.log(tmp_path / "home")
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATATHON_ENTITY_SECRET", given.SECRET)
    return tmp_path / "home"
