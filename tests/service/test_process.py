"""What a parent settles for its workers, which run in another folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.state import PROJECT
from serving.process import fix_home
from tests.server import environment
from tests.service.rows import cohort_rows


def test_relative_paths_of_the_parent_are_absolute_for_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENTOML_HOME", "home")
    monkeypatch.setenv("DATATHON_CONFIGURATION", "mine.yaml")
    fix_home(tmp_path / "home")
    assert os.environ["BENTOML_HOME"] == str(tmp_path / "home")
    assert os.environ["DATATHON_CONFIGURATION"] == str(tmp_path / "mine.yaml")


@pytest.mark.parametrize("configuration", [None, ""])
def test_what_is_not_set_stays_so(
    configuration: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    monkeypatch.delenv("DATATHON_CONFIGURATION", raising=False)
    if configuration is not None:
        monkeypatch.setenv("DATATHON_CONFIGURATION", configuration)
    fix_home(tmp_path)
    assert "BENTOML_HOME" not in os.environ
    assert os.environ.get("DATATHON_CONFIGURATION") == configuration


@pytest.mark.parametrize("present", [True, False])
def test_what_is_relative_is_meant_from_where_the_command_was_given(
    present: bool, tmp_path: Path
) -> None:
    """By the time that BentoML imports the service it is in the service's folder."""
    called = tmp_path / "called"
    for path in (called / "home", tmp_path / "service"):
        path.mkdir(parents=True)
    if present:
        (called / "mine.yaml").touch()
    given = {"PWD": str(called), "BENTOML_HOME": "home", "DATATHON_CONFIGURATION": "mine.yaml"}
    said = subprocess.run(
        [sys.executable, "-c", _SAID],
        cwd=tmp_path / "service",
        env=os.environ | given | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    configuration = str(called / "mine.yaml") if present else "mine.yaml"
    assert said.stdout.split() == [str(called / "home"), configuration], said.stderr


_SAID = """
import os
import serving.process
print(os.environ["BENTOML_HOME"], os.environ["DATATHON_CONFIGURATION"])
"""


_SERVED = """
import asyncio, gc, json, sys
import httpx
import service
from serving.exchange import Exchange

async def main():
    body, app = json.loads(sys.argv[1]), service.DatathonApi.to_asgi()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")
    async with app.router.lifespan_context(app), client:
        answers = [await client.post("/predict", json=body) for _ in range(1000)]
    gc.collect()
    held = sum(isinstance(one, Exchange) for one in gc.get_objects())
    print(json.dumps({"statuses": sorted({one.status_code for one in answers}), "held": held}))

asyncio.run(main())
"""


def test_what_was_answered_is_let_go(home: Path, tmp_path: Path) -> None:
    """A timer that ran on would hold its request for a minute, and make the garbage collector
    stand still on it; asyncio itself keeps a hundred timers that were cancelled."""
    done = subprocess.run(
        [sys.executable, "-c", _SERVED, json.dumps({"instances": cohort_rows(1)})],
        cwd=PROJECT,
        env=environment(home, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)),  # as a worker has it
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["statuses"] == [200]
    assert found["held"] <= 200
