"""A full disk: one line, a non-zero exit, nothing half-made, and it works again when there is
space."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import manifest, store
from registry.state import State
from tests.artefacts import MODEL
from tests.disks import mounted
from tests.registry.handmade import (
    assert_chained,
    champion,
    make_version,
    promote,
    tree_sha256,
)
from tests.server import command

FULL = os.strerror(errno.ENOSPC)


class Disk:
    """A disk of 16 MB, and a file that takes what is to be left of it."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"
        self.state = State(folder / "home")

    def fill(self, *, spare: int = 0) -> None:
        """Leave `spare` bytes."""
        facts = os.statvfs(self._ballast.parent)
        taken = facts.f_bavail * facts.f_frsize - spare
        with self._ballast.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, taken)

    def clear(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", megabytes=16) as folder:
        yield Disk(folder)


def refused(done: "subprocess.CompletedProcess[str]") -> bool:
    """With one line that says why."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return FULL in done.stderr


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_a_move_on_a_full_disk_moves_nothing(disk: Disk, action: str) -> None:
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        make_version(disk.state, version)
    promote(disk.state, "v1.0.0", "v1.1.0")
    arguments = ["registry", action, "--reason", "drill"]
    if action == "promote":
        arguments += ["--force", "--version", "v1.2.0"]
    disk.fill()
    before = tree_sha256(disk.state.models), champion(disk.state), disk.state.history.read_bytes()
    assert refused(command(disk.state.home, *arguments, check=False))
    after = tree_sha256(disk.state.models), champion(disk.state), disk.state.history.read_bytes()
    assert after == before
    assert list(disk.state.registry.glob(".*json*")) == []
    disk.clear()
    assert command(disk.state.home, *arguments).returncode == 0
    assert champion(disk.state)["generation"] == 3
    assert_chained(disk.state)


@pytest.mark.slow
def test_a_register_on_a_full_disk_leaves_nothing(disk: Disk, artefacts: Path) -> None:
    state = disk.state
    make_version(state, "v1.0.0", model=MODEL)
    arguments = ["registry", "register", "--version", "v2.0.0"]
    arguments += ["--artifacts", str(artefacts / "0")]
    before = tree_sha256(state.models), tree_sha256(state.bentos)
    # It fails as the model is copied, and as the Bento is made.
    for spare in (0, 1_800_000):
        disk.fill(spare=spare)
        assert refused(command(state.home, *arguments, check=False))
        disk.clear()
        assert (tree_sha256(state.models), tree_sha256(state.bentos)) == before
        assert not state.staging.exists() or list(state.staging.iterdir()) == []
        assert command(state.home, "registry", "verify").returncode == 0
    assert command(state.home, *arguments).returncode == 0
    assert store.get(state, MODEL, "v2.0.0").digest == manifest.digest_of(artefacts / "0")
    assert command(state.home, "registry", "verify").returncode == 0
