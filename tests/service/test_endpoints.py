"""What the service says of itself while it changes over, and where it did not start."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from registry.state import PROJECT
from serving.endpoints import metadata_of
from tests.server import environment
from tests.service.challengers import Scorer, version


class Swapping:
    """A worker that serves another version at each look."""

    def __init__(self) -> None:
        self._looks = 0

    @property
    def serving(self) -> Any:
        self._looks += 1
        loaded, event = version(f"v{self._looks}.0.0", Scorer()), {"by": f"{self._looks}"}
        return SimpleNamespace(loaded=loaded, generation=self._looks, event=event)


def test_metadata_is_of_one_version_whatever_is_swapped_meanwhile() -> None:
    worker: Any = Swapping()
    found = metadata_of(worker)
    assert found is not None
    named = (found["model_version"], found["generation"], found["promotion"]["by"])
    assert named == ("v1.0.0", 1, "1")


_STOPPED = """
import asyncio, json
import service

def refuse(*arguments, **named):
    raise OSError("no such state")

service.baked_model = refuse
api = service.DatathonApi.inner()
api.bento_service = None  # which BentoML sets
try:
    asyncio.run(api.start())
except OSError as error:
    print(json.dumps(str(error)))
asyncio.run(api.stop())
print(json.dumps("stopped"))
"""


def test_a_start_that_failed_is_stopped_without_another_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STOPPED],
        cwd=PROJECT,
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()[-2:]] == [
        "no such state",
        "stopped",
    ]
