"""Sections of a YAML file into frozen dataclasses: an unknown key, a key that stands twice or a
value of another type is an error that says where."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from registry.errors import ConfigurationError

_T = TypeVar("_T")
_NAMES = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}


def read(text: str) -> Any:
    """Parse YAML.

    Raises:
        ConfigurationError: it is not YAML, or a mapping holds the same key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ConfigurationError(f"not YAML: {' '.join(str(error).split())}") from error


def build(kind: type[_T], content: Any, where: str) -> _T:
    """Make the frozen dataclass `kind` of a mapping, checking each key and type.

    Raises:
        ConfigurationError: an unknown or missing key, or a value of another type.
    """
    entries = mapping(content, where)
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    refuse_unknown(entries, list(known), f"{where}.")
    for name, entry in known.items():
        required = entry.default is MISSING and entry.default_factory is MISSING
        if required and name not in entries:
            raise ConfigurationError(f"{where}.{name} is missing")
    hints = get_type_hints(kind)
    return kind(
        **{name: _typed(value, hints[name], f"{where}.{name}") for name, value in entries.items()}
    )


def mapping(content: Any, where: str) -> dict[str, Any]:
    """`content`, if it is a mapping of names.

    Raises:
        ConfigurationError: it is not.
    """
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigurationError(f"{where}: expected a mapping of names to values")
    return content


def refuse_unknown(entries: Mapping[str, Any], known: Iterable[str], prefix: str) -> None:
    """Raise a ConfigurationError for the first key that is not known, naming the nearest one."""
    for key in entries:
        if key not in known:
            raise ConfigurationError(f"unknown key `{prefix}{key}`{nearest(key, known)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message: the known word that was probably meant, if any is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; did you mean `{near[0]}`?" if near else ""


class _Loader(yaml.SafeLoader):
    """SafeLoader keeps the last of two equal keys and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def _typed(value: Any, hint: Any, where: str) -> Any:
    if isinstance(hint, UnionType):
        return None if value is None else _typed(value, get_args(hint)[0], where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigurationError(f"{where}: expected {' or '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigurationError(f"{where}: expected a list")
        return tuple(_typed(item, get_args(hint)[0], where) for item in value)
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not hint:
        raise ConfigurationError(f"{where}: expected {_NAMES[hint]}")
    return value
