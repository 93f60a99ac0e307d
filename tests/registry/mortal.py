"""Commands that are killed with SIGKILL: anywhere in time, or just before the n-th step on disk.

A move takes milliseconds and the interpreter's start a hundred, so the commands are forks of one
process that has imported the command line; what runs and what is killed is the command itself.
"""

import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.server import Script

KILLED = -signal.SIGKILL

_FORKS = """
import json, os, signal, sys, time
from registry import register
from registry.__main__ import main

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "fcntl.flock"}


def die_before(step):
    # Python tells its audit hooks of what it is about to do to a file.
    passed = 0

    def hook(event, arguments):
        nonlocal passed
        written = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if written or event in CHANGES:
            passed += 1
            if passed > step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def fork_on_order():
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if order["step"] is not None:
                die_before(order["step"])
            return order["arguments"]
        if order["seconds"] is not None:
            time.sleep(order["seconds"])
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so that the pid is still its own
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    os._exit(0)


def fork_once_built(package=register._package):
    # BentoML's build takes seconds and stays in the staging folder; what follows is tried often.
    def package_and_fork(*arguments):
        package(*arguments)
        print("built", flush=True)
        fork_on_order()

    register._package = package_and_fork


if sys.argv[1:]:
    fork_once_built()
    arguments = sys.argv[1:]
else:
    arguments = fork_on_order()
os._exit(main(arguments))
"""


class Forks(Script):
    """`python -m registry` over `home`, a fork for each order. With `first`, a register, the forks
    are made where BentoML has built and go on from there."""

    def __init__(self, home: Path, *first: str) -> None:
        super().__init__(_FORKS, home, *first)
        self._first = first

    def __enter__(self) -> Self:
        if self._first:
            assert self.line() == "built"
        return self

    def run(
        self,
        arguments: Sequence[str] = (),
        *,
        seconds: float | None = None,
        step: int | None = None,
    ) -> int:
        """The exit code; KILLED where it was killed after `seconds` or before change `step`."""
        order = {"arguments": list(arguments), "seconds": seconds, "step": step}
        return int(self.tell(order))


class Aim:
    """When to kill, so that as many commands are killed before their commit as end before the
    kill, and what lies between is met often, however fast or busy the machine is: the middle moves
    with each that is told."""

    def __init__(self, seconds: float, chance: random.Random) -> None:
        self._middle = seconds
        self._chance = chance
        self._told = 0
        self.before = 0
        self.after = 0

    @property
    def kills(self) -> int:
        return self.before + self.after

    def seconds(self) -> float:
        """Anywhere up to twice the middle, every other time close to it."""
        spread = self._chance.choice((1.0, 0.15))
        return self._middle * self._chance.uniform(1 - spread, 1 + spread)

    def tell(self, code: int, *, committed: bool) -> None:
        """What came of it; a command that ended before the kill counts for neither."""
        self._told += 1
        pace = 1 + max(0.07, 1 / self._told)  # the first guess may be far off
        if code != KILLED:
            self._middle /= pace
        elif not committed:
            self._middle *= pace
        self.before += code == KILLED and not committed
        self.after += code == KILLED and committed
