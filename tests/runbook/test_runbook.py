"""Every command of the runbook does what the runbook says, in order, against a live service."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitoring.drill import NAMES
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
        found.remove()


@pytest.fixture(scope="module")
def operator(scene: Scene) -> Operator:
    *login, _ = BLOCKS[0].commands
    return Operator(scene, [command.text for command in login])


@pytest.mark.incident
@pytest.mark.parametrize("block", BLOCKS, ids=[f"{one.section}:{one.line}" for one in BLOCKS])
def test_the_commands_do_what_the_runbook_says(
    block: Block, scene: Scene, operator: Operator
) -> None:
    operator.turn_to(block.section)
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
    spans = [[found for _, found in blocks.inline(path)] for path in (PORTUGUESE, ENGLISH)]
    assert spans[0] == spans[1]


def test_what_a_section_reads_it_makes_itself() -> None:
    """But for curl-format.txt, which is the project's, and files that are somebody else's."""
    brought = {"new-rows.csv", "labels.csv"}
    for heading in dict.fromkeys(block.section for block in BLOCKS):
        if not heading.startswith("Datathon"):
            continue
        made: set[str] = set()
        for text in (
            c.text for block in BLOCKS if block.section == heading for c in block.commands
        ):
            read = set(re.findall(r"(?:@|cat |--data |import )([\w-]+\.(?:json|csv|txt))", text))
            assert read <= made | brought | {"curl-format.txt"}, f"{heading}: {text}"
            made |= set(re.findall(r"> ([\w.-]+)$", text))


@pytest.mark.parametrize("path", [ENGLISH, PORTUGUESE], ids=["en", "pt"])
def test_every_drill_has_its_row(path: Path) -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|(.+)\|$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(name for name, _ in rows) == NAMES
    for _, cells in rows:
        figures = re.findall(r"\d+\.\d", cells)
        fired, diagnosed, recovered, over, _ = map(float, figures)
        assert 0 < fired <= diagnosed <= recovered <= over


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
