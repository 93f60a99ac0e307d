"""What the README and the runbook have to say before a command that does harm without it."""

import pytest

from registry.state import PROJECT

RUNBOOKS = ("runbook.md", "runbook.pt-BR.md")


def section(page: str, title: str) -> str:
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("page", "believed", "not_shown"),
    [
        ("runbook.md", "First whether the labels can be believed", "not that line"),
        ("runbook.pt-BR.md", "Primeiro, se dá para confiar nos rótulos", "essa linha não"),
    ],
)
def test_labels_are_believed_before_anything_is_retrained(
    page: str, believed: str, not_shown: str
) -> None:
    text = section(page, "DatathonRecallConfirmed")
    asked, promoted = (text.index(words) for words in ("--dry-run", "--promote\n"))
    assert text.index(believed) < asked < text.index(not_shown) < promoted


@pytest.mark.parametrize("page", RUNBOOKS)
def test_a_service_is_not_started_anew_without_its_secret(page: str) -> None:
    before, started, _ = section(page, "DatathonDown").partition("$ docker run")
    assert started
    assert "`DATATHON_ENTITY_SECRET`" in before


@pytest.mark.parametrize("page", RUNBOOKS)
def test_the_estimate_says_its_exit_code(page: str) -> None:
    text = section(page, "DatathonEstimatedRecall")
    assert "exit: 10 -->\n```console\n$ python -m monitoring.drift_report" in text


def test_the_readme_sets_the_secret_before_it_starts_the_service() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert text.index("$ export DATATHON_ENTITY_SECRET=") < text.index("$ make serve")


def test_the_readme_knows_the_exit_code_of_a_state_that_is_only_read() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert "8 `monitoring.refresh`" in text.partition("\nExit codes: ")[2].partition("\n\n")[0]
