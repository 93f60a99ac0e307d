import re
from collections.abc import Iterator
from typing import Any

import pytest

from registry.state import PROJECT
from tests.monitoring.rendering.documents import drift, performance

BY_NAME = {"psi", "noise", "statuses", "detail"}  # their keys are features, or free


def fields(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from fields(item)
    if isinstance(value, dict) and key not in BY_NAME:
        for name, item in value.items():
            yield name
            yield from fields(item, name)


@pytest.mark.parametrize("document", [drift(), performance()], ids=["drift", "performance"])
def test_every_field_of_a_document_is_documented(document: dict[str, Any]) -> None:
    text = (PROJECT / "docs" / "reports.md").read_text(encoding="utf-8")
    code = " ".join(re.findall(r"`([^`]+)`", text))
    documented = set(re.split(r"\W+", code))
    assert set(fields(document)) - documented == set()
