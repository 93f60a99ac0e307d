"""Every command of ours in the README and the docs is one that its program takes: no flag that it
does not know, none missing that it needs. (The runbook's are executed.)"""

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from registry.state import PROJECT

RUNBOOKS = {"runbook.md", "runbook.pt-BR.md"}
PAGES = [
    PROJECT / "README.md",
    *sorted(path for path in (PROJECT / "docs").glob("*.md") if path.name not in RUNBOOKS),
]
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TYPED = re.compile(r"^\$ .*?python -m ([\w.]+)([^|;>#&\n]*)", re.MULTILINE)
_QUOTED = re.compile(r"`[^`]*?python\s+-m\s+([\w.]+)([^`|;>#&]*)[^`]*`")


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Module and arguments of each line to type, and of each quoted one that has arguments: without
    any it is a program's name."""
    text = text.replace("\\\n", " ").replace("\\|", "|")
    for fence in _FENCE.findall(text):
        yield from _TYPED.findall(fence)
    for module, rest in _QUOTED.findall(_FENCE.sub("", text)):
        if rest.strip():
            yield module, rest


DOCUMENTED = sorted(
    {
        (module, " ".join(rest.split()))
        for path in PAGES
        for module, rest in commands(path.read_text(encoding="utf-8"))
    }
)


def exit_code(module: str, arguments: Sequence[str]) -> object:
    """0 where the module's program takes the arguments, 2 where not."""
    is_package = Path(PROJECT, *module.split(".")).is_dir()
    program = importlib.import_module(f"{module}.__main__" if is_package else module)
    with pytest.raises(SystemExit) as stop:
        program.main(arguments)
    return stop.value.code


@pytest.fixture(autouse=True)
def parsing_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program does anything with its arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *given: Any) -> None:
        parse(parser, *given)
        parser.exit(0)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)


@pytest.mark.parametrize(("module", "rest"), DOCUMENTED, ids=[" ".join(one) for one in DOCUMENTED])
def test_a_documented_command_is_taken_by_its_program(module: str, rest: str) -> None:
    assert exit_code(module, shlex.split(rest)) == 0


def test_what_a_program_needs_and_lacks_is_found() -> None:
    table = "| roll back | on the host; or `docker exec datathon-api python -m registry rollback` |"
    ((module, rest),) = commands(table)
    assert exit_code(module, shlex.split(rest)) == 2
