"""The command blocks of a runbook: what to run, and what the text promises of it."""

import re
from dataclasses import dataclass
from pathlib import Path

_COMMENT = re.compile(r"<!-- (before|exit): (.+?) -->$")
_LINK = re.compile(r"\]\(#([^)]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


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
    return {_anchor(heading) for heading, _ in _parts(path)}


def linked(path: Path, heading: str) -> set[str]:
    """The headings of the same page that a section links to."""
    by_anchor = {_anchor(one): one for one, _ in _parts(path)}
    return {
        by_anchor[to] for one, text in _parts(path) if one == heading for to in _LINK.findall(text)
    }


def inline(path: Path) -> list[tuple[str, set[str]]]:
    """What stands in `code` in the text of each section, in their order."""
    return [(heading, set(_INLINE.findall(_FENCE.sub("", text)))) for heading, text in _parts(path)]


def links(path: Path) -> set[str]:
    """The anchors of the same page that it links to."""
    return set(_LINK.findall(path.read_text(encoding="utf-8")))


def _parts(path: Path) -> list[tuple[str, str]]:
    """Each heading with the text up to the next one."""
    _, *pieces = re.split(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return list(zip(pieces[::2], pieces[1::2], strict=True))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


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
