"""Every command of the runbook does what the runbook says, in order, against a live service."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from registry.state import PROJECT
from tests.runbook import blocks
from tests.runbook.blocks import Block
from tests.runbook.incidents import INCIDENTS, Scene
from tests.runbook.operator import Operator
from tests.server import Server

ENGLISH, PORTUGUESE = PROJECT / "docs/runbook.md", PROJECT / "docs/runbook.pt-BR.md"
RULES = PROJECT / "deploy/prometheus/rules.yml"
BLOCKS = blocks.read(ENGLISH)


@pytest.fixture(scope="module")
def scene(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("runbook")
    home = folder / "home"
    shutil.copytree(registered, home)
    with Server(home) as server:
        found = Scene(server, folder, registered.parent / "v1.0.0")
        yield found
        found.hush()


@pytest.fixture(scope="module")
def operator(scene: Scene) -> Operator:
    return Operator(scene)


@pytest.mark.incident
@pytest.mark.parametrize("block", BLOCKS, ids=[f"{one.section}:{one.line}" for one in BLOCKS])
def test_the_commands_do_what_the_runbook_says(
    block: Block, scene: Scene, operator: Operator
) -> None:
    for incident in block.before:
        scene.hush()
        INCIDENTS[incident](scene)
    *_, last = block.commands
    for command in block.commands:
        done = operator.run(command)
        said = f"$ {command.text}\n{done.stdout}\n(exit {done.returncode})"
        assert done.returncode in (block.exits if command is last else (0,)), said
        position = 0
        for piece in command.shown:
            found = done.stdout.find(piece, position)
            assert found >= 0, f"{piece!r} is not in what follows position {position} of\n{said}"
            position = found + len(piece)


def test_both_languages_hold_the_same_commands_and_promises() -> None:
    def facts(path: Path) -> list[tuple[object, ...]]:
        return [(one.before, one.exits, one.commands) for one in blocks.read(path)]

    assert facts(PORTUGUESE) == facts(ENGLISH)


@pytest.mark.parametrize("path", [ENGLISH, PORTUGUESE], ids=["en", "pt"])
def test_every_alert_and_every_link_has_its_section(path: Path) -> None:
    alerts = {
        rule["alert"]
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    named = set(re.findall(r"^## (Datathon\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == alerts
    assert blocks.links(path) <= blocks.sections(path)
