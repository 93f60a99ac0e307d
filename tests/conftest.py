"""Two registered versions of the bundled cohort, made once by the product's own commands."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.artefacts import build
from tests.server import PROJECT, command, configured

# Processes of a parallel run are given the width of its terminal: tables are those of a pipe.
os.environ.pop("COLUMNS", None)
# A busy machine must not fail a property that holds.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with v1.0.0 (champion, trained exactly as `make serve` does) and v1.1.0 (another
    seed, one candidate). Tests copy it; nobody changes it."""
    # The processes of one run of the tests share it: whoever comes first makes it.
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if parallel else base) / "registered"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _register(folder)
            (folder / "done").touch()
    return folder / "home"


def _register(folder: Path) -> None:
    home = folder / "home"
    kind = {"seed": 7, "candidates": ["hist_gradient_boosting"], "repeats": 1}
    other = configured(folder, training=kind)
    for version, configuration in (("v1.0.0", PROJECT / "configuration.yaml"), ("v1.1.0", other)):
        artifacts = folder / version
        command(home, "training.train", "--output", artifacts, "--configuration", configuration)
        command(home, "registry", "register", "--version", version, "--artifacts", artifacts)
    command(home, "registry", "promote", "--version", "v1.0.0", "--reason", "first")


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Path:
    """A home of the test's own, with v1.0.0 as champion and v1.1.0 registered."""
    copied = tmp_path / "home"
    shutil.copytree(registered, copied)
    return copied


@pytest.fixture(scope="session")
def tiny_artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefacts of a small version, trained in seconds; tests copy what they change."""
    return build(tmp_path_factory.mktemp("tiny") / "artefacts")
