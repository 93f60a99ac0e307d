"""The line that starts all four containers sets what the compose file asks for."""

import re

from registry.state import PROJECT


def test_the_compose_line_names_every_variable_that_the_file_requires() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", (PROJECT / "deploy/compose.yaml").read_text()))
    lines = (PROJECT / "docs/container.md").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("$ ") and "docker compose" in line)
    given, _ = line.removeprefix("$ ").split(" docker compose ")
    assert set(re.findall(r"(\w+)=", given)) == required
