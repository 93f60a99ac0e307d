"""Imports point one way: nothing that is served leads to training code, by any path."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.state import PROJECT

OURS = ("registry", "monitoring", "training", "serving", "service", "start", "tests", "benchmarks")
ALLOWED = {
    "registry": set[str](),
    "monitoring": {"registry"},
    "training": {"registry", "monitoring"},
    "serving": {"registry", "monitoring"},
    "service.py": {"registry", "monitoring", "serving"},
    "start.py": {"registry"},
}


def files(where: str) -> list[Path]:
    path = PROJECT / where
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""


@pytest.mark.parametrize("where", ALLOWED)
def test_imports_point_one_way(where: str) -> None:
    own = where.removesuffix(".py")
    assert files(where)
    for path in files(where):
        used = {module.partition(".")[0] for module in imported(path)} & set(OURS)
        assert used - {own} <= ALLOWED[where], path
