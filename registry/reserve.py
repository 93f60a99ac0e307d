"""Space that is kept for a rollback: on a full disk it is given back, so that there is a way back
from what filled it. Standard library only."""

import errno
import os
from contextlib import suppress

from registry.state import State, open_file

_BYTES = 256 * 1024  # the pointer, a line of the history, and what others take meanwhile
_FULL = (errno.ENOSPC, errno.EDQUOT)


def keep(state: State) -> None:
    """Take the space, if there is any and it is not taken yet."""
    path = state.reserve
    with suppress(OSError):
        handle = open_file(path, os.O_WRONLY)
        try:
            if os.fstat(handle).st_size < _BYTES:
                os.write(handle, bytes(_BYTES))
        finally:
            os.close(handle)


def spend(state: State, error: OSError) -> bool:
    """Give it back, where the disk is full; whether that is worth another try."""
    if error.errno not in _FULL:
        return False
    try:
        state.reserve.unlink()
    except OSError:
        return False
    return True
