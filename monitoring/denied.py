"""Files of the state that this user may not read: they are somebody else's, and nothing is wrong
with them."""

import fnmatch
import os
import pwd
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import RegistryError

_ROOT = 0


class DeniedError(RegistryError):
    """A file or folder of the state may not be read."""


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Raise `denied` for what may not be read under `root`."""
    try:
        yield
    except PermissionError as error:
        raise denied(Path(error.filename or root), root) from error


def denied(path: Path, root: Path) -> DeniedError:
    """What to raise for a file under `root`, or for that folder: whose it is, and what helps.

    `root` is the folder of one log, or of the labels: who writes there need not own the state
    around it, and must be able to go on writing.
    """
    whose, me, writer = _seen(path).st_uid, os.geteuid(), _seen(root)
    if whose == me:
        remedy = "look at its mode, and at those of the folders around it"
    elif whose == writer.st_uid:
        remedy = f"run this as {_name(whose)}"
    elif writer.st_uid == _ROOT:
        remedy = f"run this as {_name(_ROOT)}"
    else:
        owner = f"{writer.st_uid}:{writer.st_gid}"
        remedy = f"as root, run `chown -R {owner} {shlex.quote(str(root))}`"
    return DeniedError(
        f"{path}: belongs to {_name(whose)}, and {_name(me)} may not read it; nothing is damaged: "
        f"{remedy}"
    )


def listed(folder: Path, pattern: str) -> list[Path]:
    """What a folder holds of names like the pattern, in their order; nothing where there is none.

    Raises:
        PermissionError: it may not be read. Path.glob finds nothing there, and says nothing.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]


def _seen(path: Path) -> os.stat_result:
    """Its owner and group; where not even those may be seen, those of the folder that hides it."""
    try:
        return path.stat()
    except PermissionError:
        return _seen(path.parent)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # as of most containers' users
        return f"uid {user}"
