"""What an expression of PromQL asks of which series, without Prometheus. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Labels = dict[str, str]
_NAME = "__name__"
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_][\w:]*)?\{(?P<matchers>[^{}]*)\}")
_MATCHER = re.compile(r'(?P<label>\w+)\s*(?P<operator>=~|!~|!=|=)\s*"(?P<value>[^"]*)"')
_GROUPING = re.compile(r"\bby \((?P<labels>[^)]*)\) (?=\()")
_MATCHING = re.compile(r"\bon \((?P<labels>[^)]*)\)")


@dataclass(frozen=True)
class Selector:
    """`name{label="value"}`: the patterns of each label that the series have to fit, or not to;
    alternatives are patterns of their own."""

    text: str
    name: str
    patterns: tuple[tuple[str, str], ...]

    def of(self, series: Sequence[Labels]) -> list[Labels]:
        """The series of that name, whatever their labels."""
        return [labels for labels in series if re.fullmatch(self.name, labels[_NAME])]


def selectors(expression: str) -> Iterator[Selector]:
    """Each with braces, in order."""
    for found in _SELECTOR.finditer(expression):
        patterns = [
            (one["label"], value)
            for one in _MATCHER.finditer(found["matchers"])
            for value in _alternatives(one["operator"], one["value"])
        ]
        by_name = "|".join(value for label, value in patterns if label == _NAME)
        asked = tuple(pattern for pattern in patterns if pattern[0] != _NAME)
        yield Selector(found[0], found["name"] or by_name, asked)


def unknown(expression: str, series: Sequence[Labels]) -> list[str]:
    """What the expression names and none of the series has: a metric, a label, or the value of one.

    That goes for what must not match too: `route!~"/helth"` would leave nothing out.
    """
    flat = " ".join(expression.split())
    return [*_unknown_values(flat, series), *_unknown_groups(flat, series)]


def _unknown_values(expression: str, series: Sequence[Labels]) -> Iterator[str]:
    for selector in selectors(expression):
        of_name = selector.of(series)
        if not of_name:
            yield f"{selector.text}: no such series"
        for label, pattern in selector.patterns:
            if not any(re.fullmatch(pattern, one.get(label, "")) for one in of_name):
                yield f"{selector.text}: no {label} is {pattern!r}"


def _unknown_groups(expression: str, series: Sequence[Labels]) -> Iterator[str]:
    """A label that is grouped by and that not all series have which are grouped; one that two sides
    meet on and that no series has."""
    every = [one for selector in selectors(expression) for one in selector.of(series)]
    for found in _MATCHING.finditer(expression):
        for label in _names(found["labels"]):
            if not any(label in one for one in every):
                yield f"on ({label}): no such label"
    for found in _GROUPING.finditer(expression):
        operand = _parenthesised(expression[found.end() :])
        for label in _names(found["labels"]):
            for selector in selectors(operand):
                if not all(label in one for one in selector.of(series)):
                    yield f"by ({label}): {selector.text} has no such label"


def _alternatives(operator: str, value: str) -> list[str]:
    """Of a regular expression without groups, each by itself."""
    if "~" not in operator:
        return [re.escape(value)]
    return [value] if "(" in value else value.split("|")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _parenthesised(text: str) -> str:
    """From the parenthesis that it begins with to where that closes; quoted ones do not count."""
    depth = 0
    for found in re.finditer(r'"[^"]*"|[()]', text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return text[: found.end()]
    raise ValueError(f"never closed: {text}")
