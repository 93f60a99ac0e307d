"""Killing a piece of work before every one of its steps on the file system."""

import subprocess
import sys
from pathlib import Path

from tests.server import PROJECT

_DRIVER = """
import os, shutil, signal, sys
from pathlib import Path
{imports}

STEPS = {{"os.rename", "os.remove", "os.rmdir", "os.mkdir", "open"}}

def work(home):
    {call}

def die_at(step, home):
    left = step
    def hook(event, arguments):
        nonlocal left
        if event in STEPS and str(arguments[0]).startswith(str(home)):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
    sys.addaudithook(hook)

home, target = map(Path, sys.argv[1:])
step, status = 0, None
while status != 0:
    copy = target / f"{{step:03}}"
    shutil.copytree(home, copy)
    child = os.fork()
    if child == 0:
        die_at(step, copy)
        work(copy)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    step += 1
"""


def at_every_step(home: Path, target: Path, *, imports: str, call: str) -> list[Path]:
    """Copies of `home`: in each, the work was killed (kill -9) one step later; the last is done."""
    target.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER.format(imports=imports, call=call), home, target],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return sorted(target.iterdir())
