"""The contract of one request: every row is checked in full before it may be merged with anybody
else's, so that no row can make scoring raise.

Messages name the row, the field and what was expected, and never repeat a value that was sent:
rows are about people.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from heapq import nsmallest
from operator import itemgetter
from typing import Any, NamedTuple

from registry.privacy import looks_personal
from registry.schema import ENTITY_FIELD, PERIOD_FIELD, Feature, FeatureType, Schema

MAX_TEXT = 200
"""Characters of a category or an entity id; longer is refused."""
MAX_REPORTED = 20
"""Problems listed in one answer; the rest is counted."""
LATEST_PERIOD = 99_999_999
"""Periods are whole numbers from 0: 2026, 202611 or 20261122."""

Value = float | int | str | None


class Problem(NamedTuple):
    """One violation: `loc` is where, as in pydantic; `type` is a short stable word for machines."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class InvalidRowsError(ValueError):
    """The request breaks the contract. `problems` holds the first few, `total` counts all."""

    def __init__(self, problems: Sequence[Problem], total: int) -> None:
        self.problems = tuple(problems)
        self.total = total
        super().__init__(f"{total} problem(s), first: {problems[0].msg}")


class ValidRow(NamedTuple):
    """Values in the order of the schema's features; whom and which period the row is about."""

    values: tuple[Value, ...]
    entity_id: str | None
    period: int | None = None


_PERSONAL = "looks like a CPF, an e-mail address or a phone number; send nothing that is personal"


class _RefusedError(Exception):
    def __init__(self, kind: str) -> None:
        self.kind = kind


class RowValidator:
    """Checks rows against one schema; make one per loaded version."""

    def __init__(self, schema: Schema, max_rows: int) -> None:
        self._max_rows = max_rows
        self._features = [_Rule(feature) for feature in schema.features]
        self._names = schema.names
        self._known = frozenset(schema.names) | {ENTITY_FIELD, PERIOD_FIELD}
        several = len(schema.names) > 1  # an itemgetter of one name gives no tuple
        self._values = itemgetter(*schema.names) if several else self._single_value

    def validate(self, instances: Any) -> list[ValidRow]:
        """Check a whole request.

        Raises:
            InvalidRowsError: the list is missing, empty or too long, or any row breaks a rule.
        """
        if not isinstance(instances, list):
            raise _single(("instances",), "expected a list of rows", "type")
        if not 1 <= len(instances) <= self._max_rows:
            raise _single(
                ("instances",), f"expected 1 to {self._max_rows} rows, got {len(instances)}", "rows"
            )
        plain = self._plain(instances)
        return self._each(instances) if plain is None else plain

    def _plain(self, instances: list[Any]) -> list[ValidRow] | None:
        """The rows, checked column by column, where nothing at all is unusual; else None.

        A long request costs a third of what value by value does; whatever is not plainly right is
        left to `_each`, which also finds the words for it.
        """
        if set(map(type, instances)) != {dict}:
            return None
        if not all(instance.keys() <= self._known for instance in instances):
            return None
        try:
            rows = list(map(self._values, instances))
        except KeyError:  # something optional was left out
            rows = [tuple(map(instance.get, self._names)) for instance in instances]
        sent = list(zip(*rows, strict=True))
        columns = [rule.plain(column) for rule, column in zip(self._features, sent, strict=True)]
        entities = [instance.get(ENTITY_FIELD) for instance in instances]
        periods = [instance.get(PERIOD_FIELD) for instance in instances]
        if None in columns or not (_are_entities(entities) and _are_periods(periods)):
            return None
        return list(map(ValidRow, zip(*columns, strict=True), entities, periods))

    def _single_value(self, instance: dict[str, Any]) -> tuple[Any, ...]:
        return (instance[self._names[0]],)

    def _each(self, instances: list[Any]) -> list[ValidRow]:
        """The rows, checked value by value, with every problem named."""
        problems: list[Problem] = []
        total = 0
        rows = []
        for index, instance in enumerate(instances):
            found: list[Problem] = []
            rows.append(self._row(index, instance, found))
            if found:
                total += len(found)
                problems.extend(found[: MAX_REPORTED - len(problems)])
        if problems:
            raise InvalidRowsError(problems, total)
        return rows

    def _row(self, index: int, instance: Any, problems: list[Problem]) -> ValidRow:
        if type(instance) is not dict:
            problems.append(_problem(index, None, "expected an object of features", "type"))
            return ValidRow((), None)
        if not instance.keys() <= self._known:
            self._report_unknown(index, instance, problems)
        values: list[Value] = []
        for rule in self._features:
            try:
                values.append(rule.check(instance.get(rule.name)))
            except _RefusedError as refused:
                kind = "missing" if rule.name not in instance else refused.kind
                words = _PERSONAL if kind == "personal" else f"expected {rule.expected}"
                problems.append(_problem(index, rule.name, words, kind))
        entity_id = instance.get(ENTITY_FIELD)
        if not _is_entity(entity_id):
            expected = f"expected a text of 1 to {MAX_TEXT} characters"
            problems.append(_problem(index, ENTITY_FIELD, expected, "type"))
        period = instance.get(PERIOD_FIELD)
        try:
            period = _check_period(period)
        except _RefusedError as refused:
            expected = f"expected an integer from 0 to {LATEST_PERIOD} or null"
            problems.append(_problem(index, PERIOD_FIELD, expected, refused.kind))
        return ValidRow(tuple(values), entity_id, period)

    def _report_unknown(self, index: int, instance: dict[str, Any], out: list[Problem]) -> None:
        """Name an unknown field by a digest when it is not a plain name: it may hold anything."""
        unknown = instance.keys() - self._known
        for key in nsmallest(MAX_REPORTED, unknown):  # a row may hold hundreds of thousands
            plain = key.isidentifier() and key.isascii() and len(key) <= 63
            shown = key if plain else "#" + hashlib.sha256(_bytes(key)).hexdigest()[:8]
            out.append(
                _problem(index, shown, "unknown field; GET /metadata lists the features", "unknown")
            )


_NATIVE: dict[FeatureType, set[type]] = {
    "number": {float, int},
    "integer": {int},
    "category": {str},
}


class _Rule:
    """One feature's check, for a value and for a column of plain values."""

    def __init__(self, feature: Feature) -> None:
        self.name = feature.name
        self.expected = feature.expected
        self.check = _check_for(feature)
        self._optional = feature.optional
        self._type = feature.type
        self._native: set[type] = _NATIVE[feature.type]

    def plain(self, values: Sequence[Any]) -> Sequence[Value] | None:
        """The column, checked, where each value is null (if it may be) or of the feature's own
        type; else None."""
        kinds = set(map(type, values))
        present = values
        if type(None) in kinds:
            if not self._optional:
                return None
            kinds.remove(type(None))
            present = [value for value in values if value is not None]
        if not kinds <= self._native:
            return None
        try:
            if self._type != "number":
                for value in set(present):
                    self.check(value)
            elif present and not math.isfinite(sum(present)):
                return None
            elif present:  # finite, so the extremes speak for all
                self.check(min(present))
                self.check(max(present))
        except (_RefusedError, OverflowError):
            return None
        if int in kinds and self._type == "number":
            return [None if value is None else float(value) for value in values]
        return values


def _check_for(feature: Feature) -> Callable[[Any], Value]:
    if feature.type == "category":
        return _category_check(frozenset(feature.levels), feature.closed, feature.optional)
    low, high = feature.bounds
    return _number_check(low, high, feature.type == "integer", feature.optional)


def _number_check(low: float, high: float, integer: bool, optional: bool) -> Callable[[Any], Value]:
    def check(value: Any) -> Value:
        kind = type(value)
        if kind is float:
            if not low <= value <= high:  # NaN fails it too
                raise _RefusedError("range" if math.isfinite(value) else "not_finite")
            if integer:
                if value != int(value):
                    raise _RefusedError("type")
                return int(value)
            return value  # type: ignore[no-any-return]
        if kind is int:
            if not low <= value <= high:
                raise _RefusedError("range")
            return value if integer else float(value)
        if value is None and optional:
            return None
        raise _RefusedError("type" if value is not None else "null")

    return check


_check_period = _number_check(0, LATEST_PERIOD, integer=True, optional=True)


def _category_check(levels: frozenset[str], closed: bool, optional: bool) -> Callable[[Any], Value]:
    def check(value: Any) -> Value:
        if type(value) is str:
            if not _is_text(value):
                raise _RefusedError("text")
            if value not in levels:
                if closed:
                    raise _RefusedError("level")
                if looks_personal(value):
                    raise _RefusedError("personal")
            return value
        if value is None and optional:
            return None
        raise _RefusedError("type" if value is not None else "null")

    return check


def _is_entity(value: Any) -> bool:
    return value is None or (_is_text(value) and value != "")


def _are_entities(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= {str, type(None)} and all(map(_is_entity, set(values)))


def _are_periods(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= {int, type(None)} and all(
        value is None or 0 <= value <= LATEST_PERIOD for value in set(values)
    )


def _is_text(value: Any) -> bool:
    """A text that can be stored: no lone surrogate, which JSON's \\ud800 makes."""
    if type(value) is not str or len(value) > MAX_TEXT:
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _problem(row: int, field: str | None, msg: str, kind: str) -> Problem:
    where: tuple[str | int, ...] = (
        ("instances", row) if field is None else ("instances", row, field)
    )
    named = f"row {row}" if field is None else f"row {row}, {field}"
    return Problem(where, f"{named}: {msg}", kind)


def _single(loc: tuple[str | int, ...], msg: str, kind: str) -> InvalidRowsError:
    return InvalidRowsError([Problem(loc, msg, kind)], 1)
