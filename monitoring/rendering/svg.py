"""Scalable drawings as markup: escaped elements, and scales from values to places.

Every drawing is 360 units wide, so that on a phone its text is shown as large as it was drawn;
colours come from the page's style sheet by class, for light, dark and print.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 360
_CHARACTER = 6.2  # the width of one, about


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """One element; `class_` and `stroke_width` become class and stroke-width, all is escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(
        Markup(name), written, Markup("").join(escape(child) for child in children)
    )


def drawing(*children: object, height: float, title: str) -> Markup:
    """The whole drawing, named for a screen reader."""
    return tag(
        "svg",
        tag("title", title),
        *children,
        class_="chart",
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        aria_label=title,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def bar(x1: float, x2: float, y: float, height: float, class_: str) -> Markup:
    """A bar from x1 to x2; one of no length is still a hair wide."""
    return tag("rect", x=x1, y=y, width=max(x2 - x1, 0.5), height=height, class_=class_)


def words(text: object, x: float, y: float, anchor: str = "start", class_: str = "") -> Markup:
    return tag("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def name(text: str, x: float, y: float) -> Markup:
    """A name that ends at x, cut to what fits before it; the whole of it is its title."""
    most = int(x / _CHARACTER)
    short = text if len(text) <= most else text[: most - 1] + "…"
    return tag("text", short, tag("title", text), x=x, y=y, text_anchor="end")


def diamond(x: float, y: float, size: float, class_: str) -> Markup:
    return _polygon([(x, y - size), (x + size, y), (x, y + size), (x - size, y)], class_)


def mark(status: str, x: float, y: float, size: float = 4) -> Markup:
    """A status as a shape too: triangle red, diamond yellow, disc green, hollow square unclear."""
    class_, half = f"mark {status}", size * 0.8
    if status == "red":
        return _polygon([(x, y - size), (x + size, y + half), (x - size, y + half)], class_)
    if status == "yellow":
        return diamond(x, y, size, class_)
    if status == "green":
        return tag("circle", cx=x, cy=y, r=half, class_=class_)
    return tag("rect", x=x - half, y=y - half, width=2 * half, height=2 * half, class_=class_)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto places from `start` to `end`; what lies outside is put at
    the nearer end. A logarithmic scale needs low > 0."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def _polygon(corners: Sequence[tuple[float, float]], class_: str) -> Markup:
    return tag("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_=class_)


def _text(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
