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


@pytest.fixture
def full(disk: Disk) -> Disk:
    """Two that were champion, another version, and no byte to spare."""
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        make_version(disk.state, version)
    promote(disk.state, "v1.0.0", "v1.1.0")
    disk.fill()
    return disk


def test_a_promote_on_a_full_disk_moves_nothing(full: Disk) -> None:
    state = full.state
    arguments = ["registry", "promote", "--version", "v1.2.0", "--force", "--reason", "drill"]
    before = tree_sha256(state.models), champion(state), state.history.read_bytes()
    done = command(state.home, *arguments, check=False)
    assert refused(done)
    assert "python -m monitoring.compact" in done.stderr
    after = tree_sha256(state.models), champion(state), state.history.read_bytes()
    assert after == before
    assert list(state.registry.glob(".*json*")) == []
    full.clear()
    assert command(state.home, *arguments).returncode == 0
    assert champion(state)["generation"] == 3
    assert_chained(state)


def test_a_rollback_on_a_full_disk_takes_what_was_kept_for_it(full: Disk) -> None:
    state = full.state
    back = ["registry", "rollback", "--reason", "drill"]
    assert command(state.home, *back).returncode == 0
    assert (champion(state)["version"], champion(state)["generation"]) == ("v1.0.0", 3)
    assert_chained(state)
    full.clear()
    promote(state, "v1.2.0", "v1.1.0")  # which keeps some again
    full.fill()
    assert command(state.home, *back).returncode == 0
    assert champion(state)["version"] == "v1.2.0"
    assert_chained(state)


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
