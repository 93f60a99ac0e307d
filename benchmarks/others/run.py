"""Run inside a tool's environment: `run.py SCRIPT TASKS ANSWERS`, which writes an answer a task."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def answer(compare: Callable[[Any], Any], task: Any) -> Any:
    """The verdicts, or why there are none: the tool refuses what it cannot compare."""
    try:
        return compare(task)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    script, tasks, answers = sys.argv[1:]
    compare = importlib.import_module(script).compare
    done = [answer(compare, task) for task in json.loads(Path(tasks).read_text())]
    Path(answers).write_text(json.dumps(done))
