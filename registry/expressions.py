"""Arithmetic over columns (`fase - fase_ideal`), parsed into a tree of known shape, never evaluated
as Python.

Only names, numbers, + - * / , a sign and parentheses are accepted. A null operand gives null; so
does whatever has no finite value (a division by zero), so that scoring cannot raise.
"""

import ast
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from registry.errors import ConfigurationError

Column = NDArray[np.float64]

_OPERATORS: dict[type[ast.operator], Callable[[Column, Column], Column]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_MAX_LENGTH = 500


def parse(text: str) -> ast.expr:
    """Parse one expression.

    Raises:
        ConfigurationError: anything that is not plain arithmetic over names and numbers.
    """
    if len(text) > _MAX_LENGTH:
        raise ConfigurationError(f"expression longer than {_MAX_LENGTH} characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"{text!r} is not arithmetic over features") from error
    for node in ast.walk(tree):
        if not _is_arithmetic(node):
            raise ConfigurationError(
                f"{text!r}: only feature names, numbers, + - * / and parentheses are allowed"
            )
    return tree


def names(tree: ast.expr) -> set[str]:
    """The exact column names that an expression reads."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def evaluate(tree: ast.expr, columns: Mapping[str, Column], rows: int) -> Column:
    """Evaluate over float columns of shape (rows,); nulls are NaN, in and out."""
    with np.errstate(all="ignore"):
        result = np.broadcast_to(_value(tree, columns), (rows,)).astype(np.float64)
    result[~np.isfinite(result)] = np.nan
    return result


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float) and abs(float(str(node.value))) < 1e15
    if isinstance(node, ast.BinOp):
        return type(node.op) in _OPERATORS
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.UAdd | ast.USub)
    return isinstance(node, ast.Name | ast.Load | ast.operator | ast.unaryop)


def _value(node: ast.expr, columns: Mapping[str, Column]) -> Column:
    match node:
        case ast.Constant(value=constant):
            return np.asarray(constant, dtype=np.float64)
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, columns)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, columns), _value(right, columns))
    raise AssertionError(f"parse() let {ast.dump(node)} through")
