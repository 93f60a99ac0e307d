import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import configuration
from registry.errors import ConfigurationError
from registry.pipeline import columns_of, frame_of
from registry.schema import Feature, Schema
from registry.validation import InvalidRowsError, RowValidator, ValidRow

SCHEMA = Schema(
    (
        Feature("age", "integer", "years", hard_range=(3, 99)),
        Feature("count", "integer", "no range", optional=True),
        Feature("mark", "number", "mark", optional=True, hard_range=(0, 10)),
        Feature("free", "number", "no range", optional=True),
        Feature("school", "category", "kind", optional=True, levels=("A", "B"), closed=True),
        Feature("town", "category", "any text", optional=True),
    )
)
VALIDATOR = RowValidator(SCHEMA, max_rows=5)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*SCHEMA.names, "entity_id", "period"]) | st.text(max_size=5)
ROWS = st.dictionaries(FIELDS, JSON_VALUES, max_size=6)
NEAR_ROWS = st.fixed_dictionaries(
    {"age": st.integers(0, 120) | st.floats(0, 120)},
    optional=dict.fromkeys((*SCHEMA.names[1:], "entity_id", "period"), JSON_VALUES),
)


GOOD_ROWS = st.fixed_dictionaries(
    {"age": st.integers(3, 99)},
    optional={
        "count": st.none() | st.integers(-(2**53), 2**53),
        "mark": st.none() | st.floats(0, 10) | st.integers(0, 10),
        "free": st.none() | st.floats(-1e37, 1e37) | st.integers(-int(1e37), int(1e37)),
        "school": st.sampled_from([None, "A", "B"]),
        "town": st.none()
        | st.text(st.characters(codec="utf-8", exclude_categories=["Nd"]), max_size=20),
        "entity_id": st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        "period": st.none() | st.integers(0, 99_999_999),
    },
)


def problems(row: Any) -> list[tuple[Any, str]]:
    """Field and kind of each problem of one row."""
    with pytest.raises(InvalidRowsError) as caught:
        VALIDATOR.validate([row])
    return [(problem.loc[-1], problem.type) for problem in caught.value.problems]


def keeps_the_contract(row: ValidRow) -> bool:
    age, count, mark, free, school, town = row.values
    return (
        type(age) is int
        and 3 <= age <= 99
        and (count is None or (type(count) is int and abs(count) <= 2**53))
        and (mark is None or (type(mark) is float and 0 <= mark <= 10))
        and (free is None or (type(free) is float and abs(free) <= 1e37))
        and school in (None, "A", "B")
        and (town is None or (type(town) is str and len(town.encode()) >= len(town) <= 200))
        and (row.entity_id is None or 1 <= len(row.entity_id) <= 200)
        and (row.period is None or (type(row.period) is int and 0 <= row.period <= 99_999_999))
    )


def accepted(instances: Any) -> list[ValidRow]:
    """The rows that passed; no other error than the one may be raised."""
    try:
        return VALIDATOR.validate(instances)
    except InvalidRowsError:
        return []


@given(JSON_VALUES)
def test_any_json_as_a_request_is_accepted_or_refused(instances: Any) -> None:
    assert all(map(keeps_the_contract, accepted(instances)))


@given(st.lists(ROWS | NEAR_ROWS | JSON_VALUES, min_size=1, max_size=5))
def test_what_passes_keeps_the_contract_and_makes_a_frame(instances: list[Any]) -> None:
    rows = accepted(instances)
    if not rows:
        return
    assert len(rows) == len(instances)
    assert all(map(keeps_the_contract, rows))
    frame = frame_of(columns_of(SCHEMA, [row.values for row in rows]))
    assert frame.shape == (len(rows), 6)
    with np.errstate(over="raise"):
        frame[["age", "count", "mark", "free"]].to_numpy().astype(np.float32)


@given(st.lists(GOOD_ROWS, min_size=1, max_size=4))
def test_good_rows_pass_whatever_is_sent_beside_them(instances: list[Any]) -> None:
    """An integer sent as 10.0 is taken too, but not by the way that plain requests go."""
    rows = VALIDATOR.validate(instances)
    beside = VALIDATOR.validate([*instances, {"age": 10.0}])
    assert repr(rows) == repr(beside[:-1])
    for instance, row in zip(instances, rows, strict=True):
        sent = [instance.get(name) for name in SCHEMA.names]
        numbers = [kind == "number" for kind in SCHEMA.kinds.values()]
        assert row.values == tuple(
            float(value) if number and value is not None else value
            for number, value in zip(numbers, sent, strict=True)
        )
        assert row.entity_id == instance.get("entity_id")
        assert row.period == instance.get("period")


@given(st.lists(NEAR_ROWS, min_size=1, max_size=5))
def test_what_was_sent_is_never_repeated(instances: list[Any]) -> None:
    secret = "Maria-da-Silva"
    for row in instances:
        row["town"] = [secret]
        row["age"] = secret
        row[f"{secret} "] = 1
    with pytest.raises(InvalidRowsError) as caught:
        VALIDATOR.validate(instances)
    assert secret not in str(caught.value)
    assert secret not in str(caught.value.problems)


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ({"age": 10}, (10, None, None, None, None, None)),
        ({"age": 10.0, "mark": 7, "town": ""}, (10, None, 7.0, None, None, "")),
        ({"age": 3, "mark": 0, "free": -1e37}, (3, None, 0.0, -1e37, None, None)),
        ({"age": 99, "mark": 10.0, "school": "B"}, (99, None, 10.0, None, "B", None)),
        ({"age": 10, "town": "São Paulo", "mark": None}, (10, None, None, None, None, "São Paulo")),
        ({"age": 10, "count": 2**53, "town": "x" * 200}, (10, 2**53, None, None, None, "x" * 200)),
    ],
)
def test_a_good_row_becomes_values_in_the_schemas_order_and_types(
    row: dict[str, Any], values: tuple[Any, ...]
) -> None:
    [valid] = VALIDATOR.validate([row])
    assert valid == ValidRow(values, None)
    assert [type(value) for value in valid.values] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, [("age", "missing")]),
        ({"age": None}, [("age", "null")]),
        ({"age": 2}, [("age", "range")]),
        ({"age": 100}, [("age", "range")]),
        ({"age": 10.5}, [("age", "type")]),
        ({"age": True}, [("age", "type")]),
        ({"age": "10"}, [("age", "type")]),
        ({"age": {}}, [("age", "type")]),
        ({"age": 10**400}, [("age", "range")]),
        ({"age": math.nan}, [("age", "not_finite")]),
        ({"age": -math.inf}, [("age", "not_finite")]),
        ({"age": 10, "count": 2**53 + 1}, [("count", "range")]),
        ({"age": 10, "count": 1e300}, [("count", "range")]),
        ({"age": 10, "free": 1e38}, [("free", "range")]),
        ({"age": 10, "free": 10**400}, [("free", "range")]),
        ({"age": 10, "free": math.inf}, [("free", "not_finite")]),
        ({"age": 10, "school": "C"}, [("school", "level")]),
        ({"age": 10, "school": "a"}, [("school", "level")]),
        ({"age": 10, "town": 3}, [("town", "type")]),
        ({"age": 10, "town": "x" * 201}, [("town", "text")]),
        ({"age": 10, "town": json.loads('"\\ud800"')}, [("town", "text")]),
        ({"age": 10, "entity_id": ""}, [("entity_id", "type")]),
        ({"age": 10, "entity_id": 7}, [("entity_id", "type")]),
        ({"age": 10, "entity_id": "x" * 201}, [("entity_id", "type")]),
        ({"age": 10, "period": True}, [("period", "type")]),
        ({"age": 10, "period": "2025"}, [("period", "type")]),
        ({"age": 10, "period": [2025]}, [("period", "type")]),
        ({"age": 10, "period": 2025.5}, [("period", "type")]),
        ({"age": 10, "period": -1}, [("period", "range")]),
        ({"age": 10, "period": 100_000_000}, [("period", "range")]),
        ({"age": 10, "period": math.nan}, [("period", "not_finite")]),
        ({"age": 10, "town": "mae@escola.org"}, [("town", "personal")]),
        ({"age": 10, "town": "Ana, 11 91234-5678"}, [("town", "personal")]),
        ({"age": 10, "school": "529.982.247-25"}, [("school", "level")]),
        ({"age": 10, "Age": 10}, [("Age", "unknown")]),
        ({"ages": 10, "agee": 1}, [("agee", "unknown"), ("ages", "unknown"), ("age", "missing")]),
        ([], [(0, "type")]),
        ("row", [(0, "type")]),
        (None, [(0, "type")]),
    ],
)
def test_a_bad_row_names_the_field_and_what_is_wrong(row: Any, expected: list[Any]) -> None:
    assert problems(row) == expected


@pytest.mark.parametrize("count", [0, 6])
def test_too_few_or_too_many_rows_are_refused_before_they_are_looked_at(count: int) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        VALIDATOR.validate([{}] * count)
    assert [problem.type for problem in caught.value.problems] == ["rows"]
    assert str(count) in caught.value.problems[0].msg


def test_the_row_is_named_and_what_was_expected() -> None:
    with pytest.raises(InvalidRowsError) as caught:
        VALIDATOR.validate([{"age": 10}, {"age": 10, "mark": 11}])
    [problem] = caught.value.problems
    assert problem.loc == ("instances", 1, "mark")
    assert problem.msg == "row 1, mark: expected a number from 0 to 10 or null"


def test_every_problem_is_counted_and_the_first_are_listed() -> None:
    with pytest.raises(InvalidRowsError) as caught:
        VALIDATOR.validate([{f"x{i}": 1 for i in range(15)} for _ in range(4)])
    assert caught.value.total == 4 * 16
    assert len(caught.value.problems) == 20


def test_a_field_that_is_no_plain_name_is_named_by_a_digest() -> None:
    [(shown, _), *_] = problems({"age": 10, "Maria da Silva, 12 anos": 1})
    assert shown.startswith("#")
    assert len(shown) == 9


def test_a_lone_surrogate_as_a_name_is_refused() -> None:
    assert problems({"age": 10, "\ud800": 1})[0][1] == "unknown"


def test_a_hard_range_wider_than_what_can_be_stored_does_not_widen_it() -> None:
    wide = Schema((Feature("n", "integer", "m", hard_range=(0, 1e30)),))
    with pytest.raises(InvalidRowsError):
        RowValidator(wide, 1).validate([{"n": 2**64}])


@pytest.mark.parametrize(("sent", "taken"), [(0, 0), (2025.0, 2025), (20261122, 20261122)])
def test_a_period_is_taken_as_an_integer_alone_or_among_others(sent: float, taken: int) -> None:
    [row, other] = VALIDATOR.validate([{"age": 10, "period": sent}, {"age": 10}])
    assert (row.period, type(row.period), other.period) == (taken, int, None)


def test_personal_text_is_refused_by_row_and_field_and_not_repeated() -> None:
    rows = [{"age": 10, "town": "Recife"}, {"age": 10, "town": "529.982.247-25"}]
    with pytest.raises(InvalidRowsError) as caught:
        VALIDATOR.validate(rows)
    [problem] = caught.value.problems
    assert problem.loc == ("instances", 1, "town")
    assert problem.msg.startswith("row 1, town: looks like a CPF")
    assert "529" not in str(caught.value.problems)


def test_a_declared_level_may_look_like_a_phone_and_an_entity_id_like_a_cpf() -> None:
    schema = Schema((Feature("line", "category", "hot line", levels=("0800 11 91234-5678",)),))
    row = {"line": "0800 11 91234-5678", "entity_id": "529.982.247-25"}
    [valid] = RowValidator(schema, 1).validate([row])
    assert valid == ValidRow(("0800 11 91234-5678",), "529.982.247-25")
    with pytest.raises(InvalidRowsError):
        RowValidator(schema, 1).validate([{"line": "11 91234-5678"}])


@pytest.mark.parametrize("name", ["entity_id", "period"])
def test_no_feature_may_have_the_name_of_what_stands_beside_the_features(name: str) -> None:
    features = {name: {"type": "number", "meaning": "none"}}
    content = {"model": {"name": "m", "target": "y"}, "features": features}
    with pytest.raises(ConfigurationError, match=f"{name} is reserved"):
        configuration.parse(content)
