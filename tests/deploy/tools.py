"""Prometheus' own tools, where installed; where not, a test says loudly that it is left out."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.watching.binaries import INSTALL


def tool(name: str) -> str:
    """The tool's path; skips the test where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED: no {name}; install: {INSTALL}")
    return found


def run(name: str, *arguments: str | Path) -> str:
    """What the tool says; that it finds fault fails the test."""
    done = subprocess.run(
        [tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def as_yaml(content: object) -> str:
    """For a tool's own parser: long lines stay lines."""
    return yaml.safe_dump(content, sort_keys=False, width=10_000)
