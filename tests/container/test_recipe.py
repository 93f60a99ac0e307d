"""What can be said of the image without building it: the command, its refusals, and compose."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.image import DEFAULT_UID
from registry.pip_access import pip_access
from tests.server import PROJECT, command

COMPOSE = PROJECT / "deploy" / "compose.yaml"
# Writes down what it was asked, and fails as a builder does.
BUILDER = """#!/bin/sh
for word in "$@"; do echo "$word" >> {said}; done
echo "Error: no space left on device" >&2
exit 125
"""


@pytest.fixture
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def test_without_a_champion_one_line_says_what_to_do(tmp_path: Path) -> None:
    done = command(tmp_path, "registry.image", check=False)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "registry promote" in done.stderr


def test_a_bento_without_the_recipe_is_refused(home: Path) -> None:
    (home / "bentos/datathon-api/v1.0.0/env/docker/Dockerfile.template").unlink()
    done = command(home, "registry.image", check=False)
    assert done.returncode == 2
    assert re.fullmatch("error: .*no Bento that holds the image's recipe.*\n", done.stderr)


def test_without_a_builder_one_line_says_so(home: Path, tmp_path: Path) -> None:
    done = command(home, "registry.image", check=False, PATH=str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert re.fullmatch("error: .*docker with a running daemon, or podman.*\n", done.stderr)


def test_what_the_builder_is_asked_and_what_is_told_of_its_failure(
    home: Path, tmp_path: Path
) -> None:
    said, builder = tmp_path / "said", tmp_path / "podman"
    builder.write_text(BUILDER.format(said=said))
    builder.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = command(home, "registry.image", "--backend", "podman", check=False, PATH=path)
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    words = said.read_text().splitlines()
    assert words[words.index("--format") + 1] == "docker"
    assert words[words.index("--tag") + 1] == "datathon-api:v1.0.0"
    assert f"STATE_UID={home.stat().st_uid or DEFAULT_UID}" in words
    assert any(word.startswith("id=pip-conf,src=") for word in words)


def test_how_pip_reaches_the_index_goes_into_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://more.example/simple file:///here")
    monkeypatch.setenv("PIP_CERT", str(bundle))
    secrets = dict(pip_access(tmp_path))
    lines = secrets["pip-conf"].read_text().splitlines()
    assert lines[0] == "[global]"
    assert sorted(lines[1:]) == [
        "cert = /run/ca-bundle.pem",
        "extra-index-url = https://more.example/simple",
        "index-url = https://index.example/simple",
    ]
    assert secrets["ca-bundle"] == bundle


def test_compose_mounts_what_is_there_or_is_written(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    services = compose["services"]
    targets = ("--target", "datathon-api:8000", "--alertmanager", "alertmanager:9093")
    command(
        tmp_path, "monitoring.watching", "--output", tmp_path / "watching", "--shared", *targets
    )
    for service in services.values():
        for mount in service["volumes"]:
            source = re.match(r"\$\{.*?\}|[^:]+", mount)
            assert source is not None
            name = source.group()
            if name.startswith("./watching/"):
                assert (tmp_path / name).is_file()
            elif name.startswith("./"):
                assert (COMPOSE.parent / name).exists()
            elif not name.startswith("${"):
                assert name in compose["volumes"]
    written = yaml.safe_load((tmp_path / "watching" / "prometheus.yml").read_text())
    told = json.dumps(written)
    assert "datathon-api:8000" in told
    assert "alertmanager:9093" in told
    assert {"datathon-api", "alertmanager"} <= services.keys()


def test_compose_is_locked_down(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    api = compose["services"]["datathon-api"]
    assert api["read_only"] is True
    assert api["volumes"] == ["${BENTOML_HOME:?the folder of the state}:/state"]
