"""The command blocks of a runbook: what to run, and what the text promises of it."""

import re
from dataclasses import dataclass
from pathlib import Path

_COMMENT = re.compile(r"<!-- (before|exit): (.+?) -->$")


@dataclass(frozen=True)
class Command:
    """A line to run; `shown` are the pieces that its output holds, in this order, with anything
    between them."""

    text: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """The commands of one fence. `before` is what happened to the service first; `exits` are the
    codes that the last command may end with, as the others end with 0."""

    section: str
    line: int
    before: tuple[str, ...]
    exits: tuple[int, ...]
    commands: tuple[Command, ...]


def read(path: Path) -> list[Block]:
    """All blocks in order.

    Raises:
        ValueError: a block that cannot be run as it stands.
    """
    blocks: list[Block] = []
    section, before = "", []
    exits: tuple[int, ...] = (0,)
    lines = path.read_text(encoding="utf-8").splitlines()
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif comment := _COMMENT.match(line):
            if comment[1] == "before":
                before.append(comment[2])
            else:
                exits = tuple(int(code) for code in comment[2].split())
        elif line.startswith("```"):
            if line != "```console":
                raise ValueError(f"{path.name}:{number}: only ```console blocks can be run")
            body = []
            for _, inner in numbered:
                if inner == "```":
                    break
                body.append(inner)
            blocks.append(Block(section, number, tuple(before), exits, _commands(body, number)))
            before, exits = [], (0,)
    return blocks


def sections(path: Path) -> set[str]:
    """The anchors that a link may point to, as forges make them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> set[str]:
    """The anchors of the same page that it links to."""
    return set(re.findall(r"\]\(#([^)]+)\)", path.read_text(encoding="utf-8")))


def _commands(body: list[str], number: int) -> tuple[Command, ...]:
    commands: list[Command] = []
    for line in body:
        if line.startswith("$ "):
            commands.append(Command(line[2:], ()))
        elif commands:
            last = commands[-1]
            pieces = tuple(piece for piece in line.split("…") if piece)
            commands[-1] = Command(last.text, (*last.shown, *pieces))
        else:
            raise ValueError(f"line {number}: a block begins with its command")
    return tuple(commands)
