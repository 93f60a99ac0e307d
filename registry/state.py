"""Where everything lives under BENTOML_HOME, and the one way in which a small file is replaced."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry.errors import MovedError, UsageError

BENTO_NAME = "datathon-api"
PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds service.py: a checkout, or the source inside a Bento."""


@dataclass(frozen=True)
class State:
    """The folders of one installation; none is made by looking at it."""

    home: Path

    @classmethod
    def from_environment(cls) -> "State":
        """The same home that BentoML uses: BENTOML_HOME, else ~/bentoml.

        Raises:
            UsageError: it is a file.
        """
        home = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").absolute()
        if home.exists() and not home.is_dir():
            raise UsageError(f"BENTOML_HOME is {home}, which is a file and not a folder")
        return cls(home)

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def bentos(self) -> Path:
        return self.home / "bentos" / BENTO_NAME

    @property
    def registry(self) -> Path:
        return self.home / "registry"

    @property
    def champion(self) -> Path:
        return self.registry / "champion.json"

    @property
    def history(self) -> Path:
        return self.registry / "history.jsonl"

    @property
    def staging(self) -> Path:
        return self.registry / "staging"

    @property
    def workers(self) -> Path:
        return self.registry / "workers"

    @property
    def held_out(self) -> Path:
        return self.registry / "held_out"

    @property
    def challenger(self) -> Path:
        return self.registry / "challenger.json"

    @property
    def reserve(self) -> Path:
        return self.registry / ".reserve"

    @property
    def shadow_log(self) -> Path:
        return self.home / "shadow_log"

    @property
    def inference_log(self) -> Path:
        return self.home / "inference_log"

    @property
    def labels(self) -> Path:
        return self.home / "labels"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def latest_reports(self) -> Path:
        return self.reports / "latest"

    @property
    def report_metrics(self) -> Path:
        return self.latest_reports / "metrics.prom"


@contextmanager
def exclusive(path: Path, *, busy: str, seconds: float) -> Iterator[None]:
    """Hold the lock file `path` against other processes, on this and other hosts.

    Raises:
        MovedError: someone else held it for longer than `seconds`; `busy` says what they do.
    """
    make_folder(path.parent)
    handle = open_file(path, os.O_RDWR)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise MovedError(busy) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def open_file(path: Path, access: int, mode: int = 0o644) -> int:
    """A handle of a file, which is made where there is none. One that stands there stays whose it
    is: others write it too, and it may be a second name of any file."""
    flags = access | os.O_CREAT | os.O_CLOEXEC
    try:
        handle = os.open(path, flags | os.O_EXCL, mode)
    except FileExistsError:
        return os.open(path, flags, mode)
    _give(handle, path.parent)
    return handle


def replace_file(path: Path, content: bytes) -> None:
    """Replace `path` so that a reader sees the old bytes or the new ones, after a power cut too."""
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            _give(stream.fileno(), path.parent)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync(path.parent)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those it is to stand in, so that they survive a power cut; nothing is done
    where it stands."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode, exist_ok=True)
    hand_over(path)
    sync(path.parent)


def hand_over(*paths: Path) -> None:
    """Give what root has just made to whose the folder around it is, a folder before what is in it:
    a state that root cares for belongs to the service's user, who has to read it and write it.
    Nothing where this is not root."""
    for path in paths:
        _give(path, path.parent)


def _give(made: Path | int, folder: Path) -> None:
    """A file or folder by name, or an open file by its handle."""
    if os.geteuid() != 0:
        return
    # Root may not do so on every disk; there it stays root's, as it always did.
    with suppress(OSError):
        owner = folder.stat()
        by_handle = isinstance(made, int)  # by name, never what a link there points to
        os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=by_handle)


def sync(path: Path) -> None:
    """Make a file's bytes, or the renames inside a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
