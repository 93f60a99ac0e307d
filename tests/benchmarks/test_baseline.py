"""The comparison is fair: the FastAPI service refuses and takes what ours does."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.baseline import body_model
from benchmarks.bodies import make
from registry.configuration import load
from registry.schema import Feature, Schema
from registry.validation import InvalidRowsError, RowValidator

SCHEMA = Schema(
    features=(
        Feature("age", "integer", "years", hard_range=(3, 99)),
        Feature("mark", "number", "mark", optional=True, hard_range=(0, 10)),
        Feature("free", "number", "no hard range"),
        Feature("kind", "category", "kind", optional=True, levels=("a", "b")),
        Feature("sex", "category", "closed", levels=("F", "M"), closed=True),
    )
)
GOOD: dict[str, Any] = {"age": 9, "mark": 7.5, "free": -3.25, "kind": "a", "sex": "F"}
TAKEN: list[list[Any]] = [
    [GOOD],
    [GOOD | {"mark": 7}],
    [GOOD | {"mark": None, "kind": None}],
    [{"age": 3, "free": 0, "sex": "M", "entity_id": "A1"}],
    [GOOD | {"kind": "a level of later", "entity_id": None}],
    [GOOD] * 5,
]
REFUSED: list[list[Any]] = [
    [],
    [GOOD] * 6,
    [{}],
    ["row"],
    [GOOD | {"age": "9"}],
    [GOOD | {"age": 9.5}],
    [GOOD | {"age": True}],
    [GOOD | {"age": None}],
    [GOOD | {"age": 2}],
    [GOOD | {"mark": 10.001}],
    [GOOD | {"mark": float("nan")}],
    [GOOD | {"free": float("inf")}],
    [GOOD | {"free": {"a": 1}}],
    [GOOD | {"kind": 1}],
    [GOOD | {"kind": "x" * 201}],
    [GOOD | {"sex": "X"}],
    [GOOD | {"other": 1}],
    [GOOD | {"entity_id": ""}],
    [GOOD | {"entity_id": 7}],
    [GOOD, GOOD | {"age": 100}],
]


@pytest.mark.parametrize("rows", TAKEN)
def test_both_take_the_same_rows(rows: list[Any]) -> None:
    assert len(RowValidator(SCHEMA, 5).validate(rows)) == len(rows)
    body_model(SCHEMA, 5).model_validate({"instances": rows})


@pytest.mark.parametrize("rows", REFUSED)
def test_both_refuse_the_same_rows(rows: list[Any]) -> None:
    with pytest.raises(InvalidRowsError):
        RowValidator(SCHEMA, 5).validate(rows)
    with pytest.raises(ValidationError):
        body_model(SCHEMA, 5).model_validate({"instances": rows})


def test_bodies_hold_different_rows_that_both_take() -> None:
    bodies = [json.loads(body) for body in make(rows=20, count=15)]
    rows = [json.dumps(row) for body in bodies for row in body["instances"]]
    assert len(set(rows)) == 300
    schema = load().schema
    for body in bodies:
        RowValidator(schema, 20).validate(body["instances"])
        body_model(schema, 20).model_validate(body)
