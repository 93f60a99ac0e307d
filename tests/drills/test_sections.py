"""Which commands a section of the runbook stands for."""

import pytest

from tests.drills import sections


@pytest.mark.parametrize(
    ("drilled", "written"),
    [
        ("python -m monitoring.status --url http://127.0.0.1:9 --seconds 2", "monitoring.status"),
        ("python -m registry rollback --reason '5xx alto'", 'registry rollback --reason "why"'),
        ("python -m registry verify", "registry verify"),
    ],
)
def test_a_command_is_the_same_whatever_differs_from_night_to_night(
    drilled: str, written: str
) -> None:
    assert sections.general(drilled) == sections.general(f"python -m {written}")


@pytest.mark.parametrize(
    "other", ["registry rollback --reason x --dry-run", "registry promote --version v1.0.0"]
)
def test_another_command_is_another(other: str) -> None:
    assert sections.general(f"python -m {other}") != sections.general(
        "python -m registry rollback --reason x"
    )


def test_a_section_has_its_own_commands_those_it_links_to_and_what_everybody_runs_first() -> None:
    found = sections.commands("DatathonLatency")
    for command in ("python -m monitoring.status", "docker restart datathon-api"):
        assert sections.general(command) in found
    assert sections.general("python -m registry verify") in found  # of the rollback it links to
    assert sections.general("python -m monitoring.compact") not in found
