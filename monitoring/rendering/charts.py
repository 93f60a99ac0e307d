"""The plots of a report, each a pure function from figures to a drawing.

PSI stands on a logarithmic scale, so that 0.02 and 10 are both readable; shares and metrics stand
on a linear one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from monitoring.rendering.svg import (
    WIDTH,
    Scale,
    bar,
    diamond,
    drawing,
    line,
    mark,
    name,
    tag,
    words,
)

_LEFT = 116  # of the drawing's width is for names
_BIN_LEFT = 132  # for names of bins
_RIGHT = 40  # for figures
_ROW = 20
_LEAST_PSI = 0.005
QUARTERS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True)
class Psi:
    """PSI of one feature, or of one day, what noise alone gives, and the status."""

    label: str
    psi: float
    noise: float
    status: str


@dataclass(frozen=True)
class Interval:
    """A metric with its interval, None where undefined; `training` is what it was then."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    training: float | None = None

    @property
    def ends(self) -> tuple[float, float, float] | None:
        """Low, value and high; None where undefined."""
        if self.low is None or self.value is None or self.high is None:
            return None
        return self.low, self.value, self.high


@dataclass(frozen=True)
class Bin:
    """Rows of one bin in the reference and in the window."""

    label: str
    before: int
    now: int


def psi_bars(features: Sequence[Psi], *, yellow: float, red: float, title: str) -> Markup:
    """A bar for each feature on ground that is shaded as far as noise explains it, and from where
    its own yellow and red begin: the limits stand above the noise."""
    scale = _psi_scale([f.psi for f in features], _LEFT, WIDTH - _RIGHT)
    bottom = _ROW * len(features) + 4
    parts: list[Markup] = []
    for index, feature in enumerate(features):
        top = _ROW * index + 4
        limits = [scale.at(feature.noise + limit) for limit in (0, yellow, red)]
        ends = [*limits[1:], scale.end]
        parts += [
            name(feature.label, _LEFT - 18, top + 12),
            mark(feature.status, _LEFT - 9, top + 8),
            bar(scale.start, limits[0], top, _ROW - 4, "ground noise"),
            bar(limits[1], ends[1], top, _ROW - 4, "ground yellow"),
            bar(limits[2], ends[2], top, _ROW - 4, "ground red"),
            line(limits[0], top, limits[0], top + _ROW - 4, "edge"),
            bar(scale.start, scale.at(feature.psi), top + 4, _ROW - 12, f"bar {feature.status}"),
            words(f"{feature.psi:.2f}", WIDTH, top + 12, "end"),
        ]
    ground = axis(scale, _decades(scale), 4, bottom)
    return drawing(ground, *parts, height=bottom + 18, title=title)


def histogram(bins: Sequence[Bin], *, title: str) -> Markup:
    """The share of rows in each bin: the reference above, the window below."""
    rows = max(sum(item.before for item in bins), 1), max(sum(item.now for item in bins), 1)
    shares = [
        (item.label, item.before / rows[0], item.now / rows[1])
        for item in bins
        if item.before or item.now
    ]
    most = max((max(before, now) for _, before, now in shares), default=1.0)
    scale = Scale(0, most, _BIN_LEFT, WIDTH - _RIGHT)
    parts: list[Markup] = []
    for index, (label, before, now) in enumerate(shares):
        top = _ROW * index + 4
        parts += [
            name(label, _BIN_LEFT - 6, top + 12),
            bar(scale.start, scale.at(before), top, 7, "bar reference"),
            bar(scale.start, scale.at(now), top + 8, 7, "bar window"),
            words(f"{now:.1%}", WIDTH, top + 12, "end"),
        ]
    return drawing(*parts, height=_ROW * len(shares) + 6, title=title)


def psi_by_day(days: Sequence[Psi], *, title: str, most: float) -> Markup:
    """PSI of each day as a line with its status marks, and what noise gives, dashed; `most` sets
    the top, so that several of them can be compared."""
    across = Scale(0, max(len(days) - 1, 1), 40, WIDTH - 12)
    up = _psi_scale([most], 84, 10)
    places = [(across.at(at), up.at(day.psi)) for at, day in enumerate(days)]
    noise = [(across.at(at), up.at(day.noise)) for at, day in enumerate(days)]
    marks = [
        mark(day.status, x, y, 3.5 if len(days) <= 40 else 2)
        for day, (x, y) in zip(days, places, strict=True)
    ]
    return drawing(
        levels(up, _decades(up), 40, WIDTH - 12),
        path(noise, "line noise"),
        path(places, "line"),
        *marks,
        *_date_labels([day.label for day in days], across, 100),
        height=104,
        title=title,
    )


def forest(rows: Sequence[Interval], *, title: str, floor: float | None = None) -> Markup:
    """Metrics between 0 and 1 with their intervals, one below the other; training as a diamond."""
    scale = Scale(0, 1, _LEFT + 4, WIDTH - _RIGHT - 4)
    bottom = _ROW * len(rows) + 4
    parts = [axis(scale, QUARTERS, 4, bottom)]
    if floor is not None:
        parts.append(line(scale.at(floor), 4, scale.at(floor), bottom, "limit"))
    for index, row in enumerate(rows):
        y = _ROW * index + 13
        parts.append(name(row.label, _LEFT - 6, y + 4))
        if row.training is not None:
            parts.append(diamond(scale.at(row.training), y, 6, "then"))
        if row.ends is not None:
            low, value, high = map(scale.at, row.ends)
            parts.append(line(low, y, high, y, "whisker") + _dot(value, y))
        figure = f"{row.value:.2f}" if row.value is not None else "–"
        parts.append(words(figure, WIDTH, y + 4, "end"))
    return drawing(*parts, height=bottom + 18, title=title)


def over_time(
    points: Sequence[Interval], *, title: str, floor: float, training: float | None
) -> Markup:
    """A metric between 0 and 1 by date with its intervals; nothing stands where it is undefined."""
    across = Scale(0, max(len(points) - 1, 1), 46, WIDTH - 16)
    up = Scale(0, 1, 172, 10)
    parts = [levels(up, QUARTERS, 34, WIDTH - 6)]
    parts.append(line(34, up.at(floor), WIDTH - 6, up.at(floor), "limit"))
    if training is not None:
        parts.append(line(34, up.at(training), WIDTH - 6, up.at(training), "line noise"))
    parts += [_upright(across.at(at), up, point) for at, point in enumerate(points)]
    parts += _date_labels([point.label for point in points], across, 190)
    return drawing(*parts, height=194, title=title)


def reliability(points: Sequence[tuple[float, Interval]], *, title: str) -> Markup:
    """The share that came true against the mean score, with the diagonal that a calibrated score
    lies on."""
    across, up = Scale(0, 1, 40, 340), Scale(0, 1, 310, 10)
    return drawing(
        axis(across, QUARTERS, up.at(1), up.at(0)),
        levels(up, QUARTERS, across.at(0), across.at(1)),
        line(across.at(0), up.at(0), across.at(1), up.at(1), "line noise"),
        *(_upright(across.at(score), up, point) for score, point in points),
        height=328,
        title=title,
    )


def _psi_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """From 0.005 to the power of ten above the largest value, 1 at least."""
    most = max((*values, 1.0))
    return Scale(_LEAST_PSI, 10.0 ** math.ceil(math.log10(most)), start, end, logarithmic=True)


def _decades(scale: Scale) -> list[float]:
    return [10.0**power for power in range(-2, round(math.log10(scale.high)) + 1)]


def axis(scale: Scale, values: Sequence[float], top: float, bottom: float) -> Markup:
    """Upright lines at the values, named below."""
    ticks = [
        line(scale.at(v), top, scale.at(v), bottom, "grid")
        + words(f"{v:g}", scale.at(v), bottom + 13, "middle")
        for v in values
    ]
    return tag("g", *ticks)


def levels(scale: Scale, values: Sequence[float], left: float, right: float) -> Markup:
    """Level lines at the values, named on the left."""
    ticks = [
        line(left, scale.at(v), right, scale.at(v), "grid")
        + words(f"{v:g}", left - 6, scale.at(v) + 4, "end")
        for v in values
    ]
    return tag("g", *ticks)


def _upright(x: float, up: Scale, point: Interval) -> Markup:
    if point.ends is None:
        return Markup("")
    low, value, high = map(up.at, point.ends)
    return line(x, low, x, high, "whisker") + _dot(x, value)


def _dot(x: float, y: float) -> Markup:
    return tag("circle", cx=x, cy=y, r=4, class_="dot")


def path(places: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A line through the places."""
    return tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_=class_)


def _date_labels(labels: Sequence[str], across: Scale, y: float) -> list[Markup]:
    """The first date, the last, and one between where there is room."""
    last = len(labels) - 1
    anchors = (
        {0: "start", last // 2: "middle", last: "end"} if last > 1 else {0: "start", last: "end"}
    )
    starts = {"start": -6, "middle": 0, "end": 6}
    return [
        words(labels[at], across.at(at) + starts[anchor], y, anchor)
        for at, anchor in anchors.items()
    ]
