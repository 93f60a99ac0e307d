from pathlib import Path

import pytest

from registry.state import State
from tests.artefacts import tiny_trained, write
from tests.registry.handmade import make_version
from training.fit import Trained


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An installation with v1.0.0, v1.1.0 and v1.2.0 made by hand, and no champion."""
    state = State(tmp_path / "home")
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        make_version(state, version)
    return state


@pytest.fixture(scope="session")
def trained() -> tuple[Trained, Trained]:
    """Two really trained, different versions."""
    return tiny_trained(0), tiny_trained(1)


@pytest.fixture(scope="session")
def artefacts(trained: tuple[Trained, Trained], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their artefacts, in folders `0` and `1`; tests copy what they change."""
    folder = tmp_path_factory.mktemp("artefacts")
    for number, version in enumerate(trained):
        write(version, folder / str(number), number)
    return folder
