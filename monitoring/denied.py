"""Files of the state that this user may not read: they are somebody else's, and nothing is wrong
with them."""

import os
import pwd
from pathlib import Path

from registry.errors import RegistryError


class DeniedError(RegistryError):
    """A file of the state may not be read."""


def denied(path: Path, home: Path) -> DeniedError:
    """What to raise for a file of the state under `home`: whose it is, and what helps."""
    whose, me, state = _owner(path), os.geteuid(), home.stat()
    if whose == me:
        remedy = "look at its mode, and at those of the folders around it"
    elif whose == state.st_uid:
        remedy = f"run this as {_name(whose)}"
    else:
        remedy = f"as root, run `chown -R {state.st_uid}:{state.st_gid} {home}`"
    return DeniedError(
        f"{path}: belongs to {_name(whose)}, and {_name(me)} may not read it; nothing is damaged: "
        f"{remedy}"
    )


def _owner(path: Path) -> int:
    """Whose it is; where not even that may be seen, whose the folder is that hides it."""
    try:
        return path.stat().st_uid
    except PermissionError:
        return _owner(path.parent)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # as of most containers' users
        return f"uid {user}"
