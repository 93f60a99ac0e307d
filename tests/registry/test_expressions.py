import ast
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import ConfigurationError
from registry.expressions import evaluate, names, parse

NULL = float("nan")
LEAVES = st.sampled_from(["a", "b", "c", "2", "0.5", "3e2", "0"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("-{}".format, inner),
        st.builds("+{}".format, inner),
    ),
    max_leaves=12,
)
VALUES = st.floats(-1e6, 1e6)


def values_of(text: str, **columns: list[float]) -> list[float]:
    rows = len(next(iter(columns.values()), [0.0]))
    arrays = {name: np.array(values) for name, values in columns.items()}
    return [float(value) for value in evaluate(parse(text), arrays, rows)]


def in_python(node: ast.expr, columns: dict[str, float]) -> float:
    """The same steps with Python's own floats; a step without a finite value raises."""
    match node:
        case ast.Constant(value=value):
            return float(str(value))
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=op, operand=operand):
            value = in_python(operand, columns)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            x, y = in_python(left, columns), in_python(right, columns)
            match op:
                case ast.Add():
                    result = x + y
                case ast.Sub():
                    result = x - y
                case ast.Mult():
                    result = x * y
                case _:
                    result = x / y
            if not abs(result) <= 1e37:
                raise OverflowError
            return result
    raise AssertionError(ast.dump(node))


@given(EXPRESSIONS, VALUES, VALUES, VALUES)
def test_the_value_is_that_of_pythons_own_arithmetic(
    text: str, a: float, b: float, c: float
) -> None:
    columns = {"a": a, "b": b, "c": c}
    [value] = values_of(text, a=[a], b=[b], c=[c])
    try:
        expected = in_python(ast.parse(text, mode="eval").body, columns)
    except (ZeroDivisionError, OverflowError):
        assert math.isnan(value)
    else:
        assert value == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fase - fase_ideal", [1.0, -2.0]),
        ("(fase + fase_ideal) / 2", [1.5, 4.0]),
        ("-fase", [-2.0, -3.0]),
        ("+fase", [2.0, 3.0]),
        ("2 + 3 * 4", [14.0, 14.0]),
        ("fase - fase_ideal - 1", [0.0, -3.0]),
    ],
)
def test_hand_worked_values(text: str, expected: list[float]) -> None:
    assert values_of(text, fase=[2.0, 3.0], fase_ideal=[1.0, 5.0]) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a + b",
        "b - a",
        "a * 0 * b",
        "1 / a",
        "1 / (1 / a)",
        "b / 0",
        "1e14 * 1e14 * 1e14 * b",
        "1 / (1e14 * 1e14 * 1e14)",
    ],
)
def test_a_step_without_a_value_makes_the_whole_null(text: str) -> None:
    [null_operand, zero_operand] = values_of(text, a=[NULL, 0.0], b=[1.0, NULL])
    assert math.isnan(null_operand)
    assert math.isnan(zero_operand)


def test_nothing_that_a_forest_cannot_score_comes_out() -> None:
    [value] = values_of("a * a", a=[1e30])
    assert math.isnan(value)
    assert values_of("a * 10", a=[1e30]) == [1e31]


def test_the_columns_are_left_as_they_were() -> None:
    column = np.array([1.0, 0.0])
    result = evaluate(parse("a"), {"a": column}, 2)
    result[:] = 7.0
    assert column.tolist() == [1.0, 0.0]


def test_names_are_exact() -> None:
    assert names(parse("ida + idade * 2 - ida")) == {"ida", "idade"}


EVIL = (
    *("__import__('os').system('true')", "open('x')", "f(a)", "a.real", "a.__class__", "a[0]"),
    *("a ** 2", "2 ** 2 ** 2 ** 99", "a // b", "a % b", "a @ b", "a << 9", "a | b", "~a", "not a"),
    *("'text'", "b'bytes'", "a + 'x'", "True", "None", "...", "1j", "a if b else c", "a < b"),
    *("a and b", "[a]", "(a, b)", "{a}", "{a: b}", "lambda: a", "(a := 1)", "[x for x in a]"),
    *("f'{a}'", "*a", "a; b", "a = 1", "import os", "", " ", "#", "a +", "(a", "a b", "a\nb"),
    *("1e15", "1e999", "9" * 400, "a\x00", "\ud800", "yield a", "await a"),
)


@pytest.mark.parametrize("text", EVIL)
def test_anything_but_plain_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(text)


@pytest.mark.parametrize(
    "text", ["a" * 501, "+".join(["a"] * 400), "-" * 499 + "a", "(" * 249 + "a" + ")" * 249]
)
def test_a_huge_expression_is_refused_not_a_crash(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(text)


def test_a_long_sum_is_no_huge_expression() -> None:
    assert values_of("+".join(["a"] * 150), a=[2.0]) == [300.0]


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        tree = parse(text)
    except ConfigurationError:
        return
    allowed = ast.Constant | ast.Name | ast.Load | ast.BinOp | ast.UnaryOp
    for node in ast.walk(tree):
        assert isinstance(node, allowed | ast.operator | ast.unaryop)
