"""Podman over a storage of its own, with a base image made on the spot: no daemon, no image
registry, and nothing of the user's own containers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BASE_IMAGE = "localhost/python:3.11-slim"
_RELEASE = "bookworm"  # its python3 is 3.11
_NEEDED = ("podman", "mmdebstrap", "runc")
_UNTESTED = "NOT TESTED: the container image; "


def skip_where_impossible() -> None:
    """Say loudly why the image cannot be tested here."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{_UNTESTED}install {' '.join(missing)} and containernetworking-plugins")
    if os.geteuid() != 0:
        pytest.skip(f"{_UNTESTED}run as root: the base image is made by mmdebstrap")
    if _mirror() is None:
        pytest.skip(f"{_UNTESTED}needs the apt sources of Debian {_RELEASE}")


def _mirror() -> Path | None:
    """The machine's own apt source of the release, whose address stands in no file of ours."""
    folder = Path("/etc/apt")
    for path in (*sorted(folder.glob("sources.list.d/*")), folder / "sources.list"):
        if path.is_file() and f"{_RELEASE}" in path.read_text() and "debian" in path.read_text():
            return path
    return None


class Podman:
    """Runs podman; `environment` is what another process needs to use the same storage."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in ("graph", "run", "tmp"):
            (root / name).mkdir(parents=True)
        storage = root / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{root}/graph"\nrunroot = "{root}/run"\n'
        )
        containers = root / "containers.conf"
        containers.write_text(
            '[containers]\ndefault_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'tmp_dir = "{root}/tmp"\n'
        )
        self.environment = {
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(containers),
        }

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """What `podman arguments` printed on stdout."""
        done = self.run(*arguments)
        assert not check or done.returncode == 0, f"podman {arguments}: {done.stderr}"
        return done.stdout.strip()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `podman arguments` to its end."""
        return subprocess.run(
            ["podman", *arguments],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def make_base(self) -> None:
        """What stands for python:3.11-slim where no image registry is in reach."""
        archive = self._root / "base.tar"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"]
        command += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"]
        command += ["--include=usr-is-merged,python3,python3-venv,ca-certificates"]
        command += [
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=Acquire::Languages "none"',
        ]
        command += [
            f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")
        ]
        command += [_RELEASE, str(archive), str(_mirror())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        self("import", "--quiet", str(archive), BASE_IMAGE)
        archive.unlink()

    def remove(self) -> None:
        """Take every container and image of this storage away, and the storage."""
        self("rm", "--all", "--force", "--time", "0", check=False)
        self("rmi", "--all", "--force", check=False)
        subprocess.run(["umount", self._root / "graph" / "overlay"], capture_output=True)
        shutil.rmtree(self._root)
