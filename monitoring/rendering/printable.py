"""Other people's text made fit to show: features, levels and request ids are data, and a control
character in them must reach neither the terminal nor the page."""

from typing import Any

from monitoring.rendering.wording import Document


def printable(document: Document) -> dict[str, Any]:
    """The document with every text in it, keys too, as `printable_text`."""
    return {printable_text(key): _printable(value) for key, value in document.items()}


def printable_text(text: str) -> str:
    """Control, format and odd space characters as escapes such as `\\x1b`, `\\n` and `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable_text(value)
    if isinstance(value, dict):
        return printable(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
