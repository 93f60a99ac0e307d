"""A home of the test's own."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Path:
    """A home of the test's own, with v1.0.0 as champion and v1.1.0 registered."""
    copied = tmp_path / "home"
    shutil.copytree(registered, copied)
    return copied
