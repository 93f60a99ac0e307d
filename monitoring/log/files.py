"""The inference log's files on disk: what a day holds, and the locks that keep a reader from seeing
half a change.

    inference_log/.maintenance           lock: one compaction or forget at a time
    inference_log/.layout                lock: files change names under it, readers open under it
    inference_log/dt=YYYY-MM-DD/
        <host>-<pid>-<ns>.jsonl          live: one process appends
        <name>.<token>.sealed            taken over from its process; nobody appends any more
        part-<token>/<version>.parquet   compacted rows of one version
        part-<token>/part.json           the sealed files it was made of, and what was unusable

shadow_log/ holds a challenger's scores of the same rows, in the same way.

A part is written beside and renamed into place. That one rename is the commit, for every version
in it: from then on its sources count as gone, whether or not they are unlinked yet.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from uuid import uuid4

import orjson

from monitoring.denied import explained, listed
from registry.errors import IntegrityError, RegistryError
from registry.state import State, hand_over, open_file, sync

MODE = 0o640
"""Of every file that holds rows, or what they were made of: personal data."""
UNUSABLE = "unusable.jsonl"
ANSWERED, SHADOWED = "inference log", "shadow log"
_FACTS = "part.json"
_MAINTENANCE, _LAYOUT = ".maintenance", ".layout"
_CLAIM_SECONDS = 2.0


class LogBusyError(RegistryError):
    """Another compaction or forget is at work, or a process holds one of the files."""

    exit_code = 5


@dataclass(frozen=True)
class Part:
    """One committed compaction of a day. `torn` and `invalid` lines are kept in its UNUSABLE."""

    folder: Path
    sources: frozenset[str]
    torn: int
    invalid: int

    @property
    def tables(self) -> list[Path]:
        return listed(self.folder, "*.parquet")


class OpenLines(NamedTuple):
    """A file of JSON lines and how many of its bytes were whole appends when it was opened."""

    stream: BinaryIO
    size: int


class OpenTable(NamedTuple):
    version: str
    stream: BinaryIO


@dataclass(frozen=True)
class OpenDay:
    """Everything that a day held at one moment, open: it stays readable whatever is renamed or
    unlinked afterwards."""

    lines: tuple[OpenLines, ...] = ()
    tables: tuple[OpenTable, ...] = ()
    torn: int = 0
    invalid: int = 0


def roots(state: State) -> dict[str, Path]:
    """What holds rows, by name: the answers of champions, and what challengers said of the same
    rows in their shadow. Both are files as above, and both are personal data."""
    return {ANSWERED: state.inference_log, SHADOWED: state.shadow_log}


def days(root: Path) -> dict[date, Path]:
    """The days that have a folder, oldest first.

    Raises:
        DeniedError: the log is somebody else's.
    """
    with explained(root):
        folders = listed(root, "dt=*")
    found = {}
    for path in folders:
        with suppress(ValueError):
            found[date.fromisoformat(path.name.removeprefix("dt="))] = path
    return dict(sorted(found.items()))


def live(folder: Path) -> list[Path]:
    """The files that are written to; a folder or a dangling link of such a name is none.

    Raises:
        PermissionError: the day may not be read.
    """
    return [path for path in listed(folder, "*.jsonl") if path.exists() and not path.is_dir()]


def sealed(folder: Path) -> list[Path]:
    """Sealed files that no part was made of; raises what `parts` does."""
    done = {name for part in parts(folder) for name in part.sources}
    return [path for path in listed(folder, "*.sealed") if path.name not in done]


def parts(folder: Path) -> list[Part]:
    """The committed parts of a day.

    Raises:
        IntegrityError: one does not say what it was made of.
        DeniedError: one, or the day, is somebody else's.
    """
    with explained(folder.parent):
        return [_part(path) for path in listed(folder, "part-*")]


@contextmanager
def maintenance(root: Path) -> Iterator[None]:
    """Be the only one who compacts or forgets.

    Raises:
        LogBusyError: somebody else is.
    """
    handle = open_file(root / _MAINTENANCE, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogBusyError(
                f"{root}: another compaction or forget is running; try again when it is done"
            ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def changing(root: Path) -> Iterator[None]:
    """Change names while no reader opens files; to be held for milliseconds."""
    handle = open_file(root / _LAYOUT, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def opened(folder: Path) -> Iterator[OpenDay]:
    """The day's files as they are now; an empty day where there is no folder.

    Raises:
        IntegrityError: a part does not say what it was made of.
        DeniedError: a file, or the day, is somebody else's.
    """
    with ExitStack() as stack:
        with _unchanging(folder.parent), explained(folder.parent):
            day = _open_day(folder, stack)
        yield day


def seal(folder: Path) -> None:
    """Take the live files over from their processes, which open new ones for what comes next.

    The caller holds `changing`. A process appends under a lock of its file and looks first whether
    the file still has its name, so that no row goes into a sealed file.

    Raises:
        LogBusyError: a process stopped in the middle of an append.
    """
    for path in live(folder):
        with path.open("rb+") as stream:
            if not _claimed(stream, fcntl.LOCK_EX):
                raise LogBusyError(f"{path}: a process holds it; is one stopped?")
            path.rename(path.with_name(f"{path.stem}.{uuid4().hex}.sealed"))


def sweep(folder: Path) -> None:
    """Finish what a killed run left: unlink sources that are in a part, and half-made files.

    The caller holds `maintenance` and `changing`.
    """
    pending = {path.name for path in sealed(folder)}
    for path in folder.glob("*.sealed"):
        if path.name not in pending:
            path.unlink()
    for path in (*folder.glob(".*.tmp"), *folder.glob("part-*/.*.tmp")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def create(path: Path) -> None:
    """Make an empty file, if it is not there, that only its owner and group may read."""
    os.close(open_file(path, os.O_WRONLY, MODE))


@contextmanager
def new_part(folder: Path) -> Iterator[Path]:
    """A folder to write a part into; gone again if anything is raised."""
    path = folder / f".{uuid4().hex}.tmp"
    path.mkdir()
    hand_over(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def commit(temporary: Path, sources: list[Path], facts: dict[str, Any]) -> Path:
    """Put a written part in its place and unlink what it was made of."""
    folder = temporary.parent
    names = [path.name for path in sources]
    create(temporary / _FACTS)
    (temporary / _FACTS).write_bytes(orjson.dumps({"sources": names, **facts}))
    for path in (*temporary.iterdir(), temporary):
        sync(path)
    part = folder / f"part-{temporary.name.strip('.').removesuffix('.tmp')}"
    with changing(folder.parent):
        temporary.rename(part)
        sync(folder)
        for path in sources:
            path.unlink()
    return part


@contextmanager
def rewritten(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, which takes its place at the end unless something is raised.

    The caller holds `maintenance`.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        create(temporary)
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_day(folder: Path) -> None:
    """Remove a day with all that it holds; a reader finds the whole day or nothing of it. The
    caller holds `maintenance`."""
    for left in folder.parent.glob(".*.tmp"):  # by a run that was killed
        shutil.rmtree(left)
    gone = folder.with_name(f".{uuid4().hex}.tmp")
    with changing(folder.parent):
        folder.rename(gone)
        sync(folder.parent)
    shutil.rmtree(gone)


def lines(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    """Each line of the first `size` bytes, and whether it ends in a newline."""
    left = size
    while left > 0 and (line := stream.readline(left)):
        left -= len(line)
        yield line, line.endswith(b"\n")


def _part(folder: Path) -> Part:
    try:
        facts = orjson.loads((folder / _FACTS).read_bytes())
        sources, torn, invalid = facts["sources"], facts["torn"], facts["invalid"]
        texts = type(sources) is list and all(type(name) is str for name in sources)
        if not texts or type(torn) is not int or type(invalid) is not int or min(torn, invalid) < 0:
            raise TypeError
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{folder / _FACTS}: unreadable; without it the part could count twice"
        ) from error
    return Part(folder, frozenset(sources), torn, invalid)


@contextmanager
def _unchanging(root: Path) -> Iterator[None]:
    """Hold the names still. A log on a read-only disk without the lock has no one to change it."""
    try:
        handle = open_file(root / _LAYOUT, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _open_day(folder: Path, stack: ExitStack) -> OpenDay:
    committed = parts(folder)
    streams = [stack.enter_context(path.open("rb")) for path in sealed(folder)]
    still = tuple(OpenLines(stream, os.fstat(stream.fileno()).st_size) for stream in streams)
    growing = tuple(_open_live(path, stack) for path in live(folder))
    return OpenDay(
        lines=still + growing,
        tables=tuple(
            OpenTable(path.stem, stack.enter_context(path.open("rb")))
            for part in committed
            for path in part.tables
        ),
        torn=sum(part.torn for part in committed),
        invalid=sum(part.invalid for part in committed),
    )


def _open_live(path: Path, stack: ExitStack) -> OpenLines:
    """Its size between two appends, where its process is not stopped within one."""
    stream = stack.enter_context(path.open("rb"))
    held = _claimed(stream, fcntl.LOCK_SH)
    try:
        return OpenLines(stream, os.fstat(stream.fileno()).st_size)
    finally:
        if held:
            fcntl.flock(stream, fcntl.LOCK_UN)


def _claimed(stream: BinaryIO, kind: int) -> bool:
    """Whether the file's lock could be had: an append holds it for microseconds."""
    deadline = time.monotonic() + _CLAIM_SECONDS
    while True:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0005)
