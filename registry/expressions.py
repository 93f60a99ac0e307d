"""Arithmetic over columns (`fase - fase_ideal`), parsed into a tree of known shape, never evaluated
as Python.

Only names, numbers, + - * / , a sign and parentheses are accepted. A null operand gives null; so
does each step that has no value (a division by zero) or one too large to be scored, so that scoring
cannot raise.
"""

import ast
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from registry.errors import ConfigurationError
from registry.schema import LARGEST

Column = NDArray[np.float64]

_OPERATORS: dict[type[ast.operator], Callable[[Column, Column], Column]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_MAX_LENGTH = 500
_MAX_DEPTH = 200


def parse(text: str) -> ast.expr:
    """Parse one expression.

    Raises:
        ConfigurationError: anything that is not plain arithmetic over names and numbers.
    """
    if len(text) > _MAX_LENGTH:
        raise ConfigurationError(f"expression longer than {_MAX_LENGTH} characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ConfigurationError(f"{text!r} is not arithmetic over features") from error
    for node in ast.walk(tree):
        if not _is_arithmetic(node):
            raise ConfigurationError(
                f"{text!r}: only feature names, numbers, + - * / and parentheses are allowed"
            )
    if _depth(tree) > _MAX_DEPTH:
        raise ConfigurationError(f"{text!r}: more than {_MAX_DEPTH} operations in one another")
    return tree


def names(tree: ast.expr) -> set[str]:
    """The exact column names that an expression reads."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def evaluate(tree: ast.expr, columns: Mapping[str, Column], rows: int) -> Column:
    """Evaluate over float columns of shape (rows,); nulls are NaN, in and out."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(_value(tree, columns), (rows,)).astype(np.float64)


def _depth(tree: ast.AST) -> int:
    """Nodes on the longest way down, without recursion: it is what recursion is kept safe from."""
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [c for node in level for c in ast.iter_child_nodes(node)]
    return depth


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
            result = _OPERATORS[type(op)](_value(left, columns), _value(right, columns))
            return np.where(np.abs(result) <= LARGEST, result, np.nan)
    raise AssertionError(f"parse() let {ast.dump(node)} through")
