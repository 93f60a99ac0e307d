"""The image end to end, as a person runs it: built, served, promoted, rolled back, stopped."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from monitoring.watching.ports import free_port
from tests.container.podman import Podman, skip_where_impossible
from tests.server import command, configured, wait_for
from tests.service.rows import cohort_rows, logged, pipeline_scores

pytestmark = pytest.mark.container

IMAGE = "datathon-api:v1.0.0"
USER = 1034
MAX_BYTES = 600_000_000
STOP_SECONDS = 10
HARDENED = [
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
]
TOOLS = "cc gcc g++ c++ clang ld as make cmake git pip pip3 uv"


class Container:
    """One running container of the image and a client of its port."""

    def __init__(self, podman: Podman, name: str, port: int) -> None:
        self.podman = podman
        self.name = name
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def health(self) -> dict[str, Any]:
        return dict(self.client.get("/health").json())

    def predict(self, rows: Sequence[Mapping[str, Any]], **headers: str) -> httpx.Response:
        return self.client.post("/predict", json={"instances": list(rows)}, headers=headers)

    def lines(self) -> list[dict[str, Any]]:
        """Every line of the log; each must be a JSON object on stdout."""
        done = self.podman.run("logs", self.name)
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_until(self, path: str, status: int) -> float:
        """Seconds until `path` answers with `status`."""
        began = time.monotonic()
        wait_for(lambda: self._status(path) == status, 60, lambda: str(self.lines()[-5:]))
        return time.monotonic() - began

    def stop(self) -> tuple[int, float]:
        """The exit code, and the seconds that stopping took."""
        began = time.monotonic()
        self.podman("stop", "--time", str(STOP_SECONDS), self.name)
        seconds = time.monotonic() - began
        return int(self.podman("inspect", self.name, "--format", "{{.State.ExitCode}}")), seconds

    def _status(self, path: str) -> int | None:
        try:
            return self.client.get(path).status_code
        except httpx.TransportError:
            return None


@contextmanager
def started(podman: Podman, *options: str) -> Iterator[Container]:
    """A container of the image, read-only and without capabilities, gone at the end."""
    port, name = free_port(), "datathon-api"
    podman("run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:8000", *HARDENED, *options, IMAGE)
    try:
        yield Container(podman, name, port)
    finally:
        podman("rm", "--force", "--time", "0", name, check=False)


def give(folder: Path, user: int) -> None:
    """Make `user` the owner of everything in the folder."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    found: dict[str, str] = {}
    yield found
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print("\nmeasured: " + ", ".join(f"{name} {value}" for name, value in found.items()))


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory, figures: dict[str, str]) -> Iterator[Podman]:
    """Podman with the image in its storage."""
    skip_where_impossible()
    found = Podman(tmp_path_factory.mktemp("podman"))
    try:
        began = time.monotonic()
        found.make_base()
        figures["base image"] = f"{time.monotonic() - began:.0f} s"
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def state(podman: Podman, registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that the image's user owns: v1.0.0 serves, v1.1.0 is registered."""
    home = tmp_path_factory.mktemp("state") / "home"
    shutil.copytree(registered, home)
    give(home, USER)
    return home


@pytest.fixture(scope="module")
def built(podman: Podman, state: Path, figures: dict[str, str]) -> Podman:
    """Podman with `datathon-api:v1.0.0` in it, built as `make image` does."""
    began = time.monotonic()
    done = command(state, "registry.image", "--backend", "podman", check=True, **podman.environment)
    figures["build"] = f"{time.monotonic() - began:.0f} s"
    assert f"-v {state}:/state {IMAGE}" in done.stdout
    return podman


def test_image_is_slim_and_not_root(built: Podman, figures: dict[str, str]) -> None:
    facts = json.loads(built("image", "inspect", IMAGE))[0]
    figures["image"] = f"{facts['Size'] / 1e6:.0f} MB"
    assert facts["Size"] < MAX_BYTES
    assert facts["Config"]["User"] == f"{USER}:{USER}"
    assert "healthcheck.py" in facts["Healthcheck"]["Test"][-1]
    search = f"for tool in python {TOOLS}; do command -v $tool; done; true"
    assert built("run", "--rm", IMAGE, "sh", "-c", search) == "/app/bin/python"
    asked = "import importlib.util as u; print([n for n in ('pip', 'uv') if u.find_spec(n)])"
    assert built("run", "--rm", IMAGE, "python", "-c", asked) == "[]"


def test_without_a_mount_the_baked_model_serves(built: Podman) -> None:
    with started(built) as container:
        container.wait_until("/readyz", 200)
        answer = container.predict(cohort_rows(2))
        assert answer.status_code == 200
        assert [row["model_version"] for row in answer.json()] == ["v1.0.0"] * 2
        assert container.health()["generation"] == 0
        warnings = [line["message"] for line in container.lines() if line["level"] == "WARNING"]
        assert any("nothing is mounted at /state" in message for message in warnings)
        assert container.stop()[0] == 0


def test_the_champion_of_the_mounted_state_serves_through_a_swap_and_a_restart(
    built: Podman, state: Path, figures: dict[str, str]
) -> None:
    rows = cohort_rows(20)
    with started(built, "-v", f"{state}:/state") as container:
        seconds = container.wait_until("/readyz", 200)
        figures["ready"] = f"{seconds:.1f} s"
        assert container.health()["status"] == "ok"
        scores = [row["risk_score"] for row in container.predict(rows).json()]
        np.testing.assert_allclose(scores, pipeline_scores(state, "v1.0.0", rows), rtol=1e-9)
        assert len(logged(state)) == len(rows)
        _check_locked_down(container)

        forced = ("--version", "v1.1.0", "--force", "--reason", "to roll back")
        promoted = command(state, "registry", "promote", *forced)
        assert re.search(r"generation 2; ([1-9]\d*) of \1 workers", promoted.stdout)
        assert container.predict(rows).json()[0]["model_version"] == "v1.1.0"
        command(state, "registry", "rollback", "--reason", "worse")
        assert container.predict(rows).json()[0]["model_version"] == "v1.0.0"

        began = time.monotonic()
        built("restart", "--time", str(STOP_SECONDS), container.name)
        container.wait_until("/readyz", 200)
        figures["restart to ready"] = f"{time.monotonic() - began:.1f} s"
        health = container.health()
        assert (health["model_version"], health["generation"]) == ("v1.0.0", 3)


def _check_locked_down(container: Container) -> None:
    inside = ("exec", container.name)
    assert container.podman(*inside, "id", "-u") == str(USER)
    assert container.podman.run(*inside, "touch", "/bento/x").returncode != 0
    assert "CapEff:\t0000000000000000" in container.podman(*inside, "cat", "/proc/1/status")
    assert container.podman.run("healthcheck", "run", container.name).returncode == 0
    status = container.podman("inspect", container.name, "--format", "{{.State.Health.Status}}")
    assert status == "healthy"


def test_a_file_in_the_state_configures_it_instead_of_the_images_own(
    built: Podman, state: Path
) -> None:
    configured(state, workers=2)
    variable = ("-e", "DATATHON_CONFIGURATION=/state/configuration.yaml")
    with started(built, "-v", f"{state}:/state", *variable) as container:
        container.wait_until("/readyz", 200)
        wait_for(lambda: container.health()["status"] == "ok", 20)

        def serving() -> int:
            return container.client.get("/metrics").text.count("datathon_worker_serving{")

        wait_for(lambda: serving() == 2, 20, serving)
        # Which image to run again, as the runbook asks.
        image = built("inspect", "--format", "{{.Config.Image}}", container.name)
        assert image.removeprefix("localhost/") == IMAGE


def test_a_stop_answers_what_was_accepted(
    built: Podman, state: Path, figures: dict[str, str]
) -> None:
    """The access log says what was: a request still on its way to the service may be refused."""
    rows = cohort_rows(1000)
    with started(built, "-v", f"{state}:/state") as container, ThreadPoolExecutor(24) as pool:
        container.wait_until("/readyz", 200)

        def status(number: int) -> int | None:
            try:
                return container.predict(rows, **{"X-Request-ID": f"asked-{number}"}).status_code
            except httpx.TransportError:
                return None

        asked = [pool.submit(status, number) for number in range(24)]
        _, pending = wait(asked, return_when=FIRST_COMPLETED)
        code, seconds = container.stop()
        found = {f"asked-{number}": one.result() for number, one in enumerate(asked)}
        accepted = {line.get("request_id") for line in container.lines()} & found.keys()
        assert found == {one: 200 if one in accepted else None for one in found}
        waited = sum(one.result() == 200 for one in pending)
        assert waited, "nothing was in flight"
        figures["stop with requests in flight"] = f"{seconds:.1f} s ({waited} waited)"
        assert code == 0
        assert seconds < STOP_SECONDS


def test_errors_are_found_in_the_log(built: Podman, state: Path) -> None:
    champion = state / "registry" / "champion.json"
    with started(built, "-v", f"{state}:/state") as container:
        container.wait_until("/readyz", 200)
        assert not [line for line in container.lines() if line["level"] == "ERROR"]
        moved = champion.rename(champion.with_name("away"))
        wait_for(lambda: container.health()["status"] == "degraded", 10)
        moved.rename(champion)
        wait_for(lambda: container.health()["status"] == "ok", 20)
        tail = built("logs", "--tail", "100", container.name).splitlines()
        assert any("champion.json is gone" in line for line in tail if "ERROR" in line)


def test_a_state_that_cannot_be_read_is_told_and_served_once_it_can(
    built: Podman, state: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(state, home)
    give(home, 0)
    home.chmod(0o700)
    with started(built, "-v", f"{home}:/state") as container:
        container.wait_until("/health", 503)
        health = container.health()
        assert health["status"] == "unavailable"
        assert "/state cannot be read by uid 1034; on the host: chown" in health["reason"]
        assert container.predict(cohort_rows(1)).status_code == 503
        assert [line["level"] for line in container.lines()] == ["ERROR"]
        assert built.run("healthcheck", "run", container.name).returncode == 1

        home.chmod(0o755)  # readable and not writable: it serves, and says what it cannot do
        container.wait_until("/readyz", 200)
        assert container.predict(cohort_rows(1)).json()[0]["model_version"] == "v1.0.0"
        assert "inference log" in container.health()["reason"]
        warnings = [line["message"] for line in container.lines() if line["level"] == "WARNING"]
        assert any("/state cannot be written by uid 1034" in message for message in warnings)


def test_another_owner_runs_it_as_itself(built: Podman, state: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(state, home)
    give(home, 4321)
    home.chmod(0o700)
    with started(built, "-v", f"{home}:/state", "--user", "4321:4321") as container:
        container.wait_until("/readyz", 200)
        assert container.predict(cohort_rows(1)).status_code == 200
        assert container.health()["status"] == "ok"
        assert container.stop()[0] == 0
