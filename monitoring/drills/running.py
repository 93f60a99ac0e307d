"""Commands of the product as a person runs them, in processes, on the scratch state."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.state import PROJECT

_FOREIGN = ("DATATHON_", "PROMETHEUS_MULTIPROC_DIR", "BENTOML_")
_END_SECONDS = 10.0


@dataclass(frozen=True)
class Ran:
    """One command that came to its end; `output` is stdout and stderr together."""

    text: str
    seconds: float
    exit_code: int
    output: str

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def environment(home: Path, configuration: Path, **extra: str) -> dict[str, str]:
    """The caller's, with nothing in it that points at another state, and the scratch's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    ours = {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "DATATHON_CONFIGURATION": str(configuration),
        "COLUMNS": "120",
    }
    return kept | ours | extra


def run(words: Sequence[str], surroundings: Mapping[str, str]) -> Ran:
    """Run a command to its end. `python` and `bentoml` are those that run us; where we are stopped,
    it is stopped as by Ctrl-C and waited for."""
    (done,) = run_together([words], surroundings)
    return done


def run_together(commands: Sequence[Sequence[str]], surroundings: Mapping[str, str]) -> list[Ran]:
    """The same for several at once."""
    started: list[tuple[Sequence[str], float, subprocess.Popen[str]]] = []
    try:
        for words in commands:
            started.append((words, time.monotonic(), _start(words, surroundings)))
        return [_end_of(*one) for one in started]
    except BaseException:
        for _, _, process in started:
            _stop(process)
        raise


def _start(words: Sequence[str], surroundings: Mapping[str, str]) -> "subprocess.Popen[str]":
    beside = Path(sys.executable).parent
    program = {"python": sys.executable, "bentoml": str(beside / "bentoml")}
    return subprocess.Popen(
        [program.get(words[0], words[0]), *words[1:]],
        cwd=PROJECT,
        env=dict(surroundings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _end_of(words: Sequence[str], began: float, process: "subprocess.Popen[str]") -> Ran:
    output, _ = process.communicate()
    return Ran(shlex.join(words), time.monotonic() - began, process.returncode, output)


def _stop(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
