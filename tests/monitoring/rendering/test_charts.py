import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from monitoring.rendering import charts
from monitoring.rendering.charts import Bin, Interval, Psi
from monitoring.rendering.svg import WIDTH, Scale, mark

HOSTILE = "</title><script>alert('x')</script>\"&"


def parsed(drawing: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawing))


def widths(drawing: Markup, class_: str) -> list[float]:
    bars = [rect for rect in parsed(drawing).iter("rect") if rect.get("class") == class_]
    return [float(rect.get("width", "nan")) for rect in bars]


def texts(drawing: Markup) -> list[str]:
    return ["".join(text.itertext()) for text in parsed(drawing).iter("text")]


def everything(label: str) -> list[Markup]:
    days = [Psi(label, 0.02, 0.01, "green"), Psi(label, 12.0, 0.01, "red")]
    interval = Interval(label, 0.7, 0.6, 0.8, 0.75)
    undefined = Interval(label, None, None, None)
    return [
        charts.psi_bars(days, yellow=0.1, red=0.25, title=label),
        charts.histogram([Bin(label, 10, 5), Bin(label, 0, 5)], title=label),
        charts.psi_by_day(days, most=12.0, title=label),
        charts.forest([interval, undefined], floor=0.7, title=label),
        charts.over_time([interval, undefined], floor=0.7, training=None, title=label),
        charts.reliability([(0.5, interval), (0.6, undefined)], title=label),
    ]


@pytest.mark.parametrize("drawing", everything(HOSTILE))
def test_a_drawing_is_well_formed_named_and_without_foreign_markup(drawing: Markup) -> None:
    root = parsed(drawing)
    assert (root.tag, root.get("role"), root.get("aria-label")) == ("svg", "img", HOSTILE)
    assert root.findtext("title") == HOSTILE
    assert "<script" not in drawing


@pytest.mark.parametrize("drawing", everything("x"))
def test_nothing_is_drawn_outside(drawing: Markup) -> None:
    root = parsed(drawing)
    height = float(root.get("viewBox", "").split()[-1])
    for item in root.iter():
        for key, value in item.items():
            if key in ("x", "x1", "x2", "cx"):
                assert 0 <= float(value) <= WIDTH
            if key in ("y", "y1", "y2", "cy"):
                assert 0 <= float(value) <= height


@given(st.floats(0.01, 5), st.floats(1, 1.9))
def test_equal_ratios_of_psi_are_equal_distances(psi: float, ratio: float) -> None:
    scale = Scale(0.005, 10, 100, 300, logarithmic=True)
    assert scale.at(psi * ratio) - scale.at(psi) == pytest.approx(
        200 * math.log(ratio) / math.log(2000), abs=1e-9
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_scale_never_leaves_its_drawing(value: float) -> None:
    assert 100 <= Scale(0, 1, 100, 300).at(value) <= 300


def test_psi_of_every_size_is_seen() -> None:
    features = [Psi(str(psi), psi, 0.001, "red") for psi in (0.0, 0.02, 0.3, 10.0)]
    lengths = widths(charts.psi_bars(features, yellow=0.1, red=0.25, title="t"), "bar red")
    assert lengths == sorted(lengths)
    assert 0 < lengths[0] < 1
    assert all(longer - shorter > 20 for shorter, longer in pairwise(lengths))


def test_the_limits_begin_above_the_noise_of_each_feature() -> None:
    drawing = charts.psi_bars([Psi("x", 0.5, 0.15, "red")], yellow=0.1, red=0.25, title="t")
    (yellow,), (noise,) = widths(drawing, "ground yellow"), widths(drawing, "ground noise")
    (bar,) = widths(drawing, "bar red")
    decade = bar / math.log10(0.5 / 0.005)
    assert noise == pytest.approx(decade * math.log10(0.15 / 0.005), abs=0.2)
    assert yellow == pytest.approx(decade * math.log10(0.40 / 0.25), abs=0.2)


def test_bars_of_a_histogram_are_shares_of_their_own_rows() -> None:
    drawing = charts.histogram([Bin("a", 300, 10), Bin("b", 100, 10)], title="t")
    before, now = widths(drawing, "bar reference"), widths(drawing, "bar window")
    assert before[0] / before[1] == pytest.approx(3, abs=0.01)
    assert now[0] == now[1] == pytest.approx(before[0] * 0.5 / 0.75, abs=0.1)
    assert "50.0%" in texts(drawing)


def test_bins_that_no_row_has_are_left_out() -> None:
    drawing = charts.histogram([Bin("a", 3, 1), Bin("NULL", 0, 0)], title="t")
    assert "NULL" not in drawing


def test_an_empty_window_still_gives_a_drawing() -> None:
    assert parsed(charts.histogram([Bin("a", 0, 0)], title="t")).tag == "svg"


def test_what_is_undefined_has_no_dot() -> None:
    known, undefined = Interval("a", 0.5, 0.4, 0.6), Interval("b", None, None, None)
    for count, points in ((1, [known, undefined]), (0, [undefined])):
        drawings = (
            charts.forest(points, title="t"),
            charts.over_time(points, floor=0.7, training=None, title="t"),
            charts.reliability([(0.5, point) for point in points], title="t"),
        )
        for drawing in drawings:
            assert len(list(parsed(drawing).iter("circle"))) == count


def test_a_whisker_reaches_from_low_to_high() -> None:
    drawing = charts.reliability([(0.25, Interval("a", 0.5, 0.4, 0.8))], title="t")
    (whisker,) = [item for item in parsed(drawing).iter("line") if item.get("class") == "whisker"]
    (dot,) = parsed(drawing).iter("circle")
    y1, y2 = (float(whisker.get(key, "nan")) for key in ("y1", "y2"))
    assert (y1 - y2) / 300 == pytest.approx(0.4)
    assert (y1 - float(dot.get("cy", "nan"))) / 300 == pytest.approx(0.1)


def test_a_long_name_is_cut_and_kept_in_full_beside() -> None:
    long = "a_feature_with_a_name_that_goes_on_and_on"
    drawing = charts.psi_bars([Psi(long, 1, 0.1, "red")], yellow=0.1, red=0.25, title="t")
    label = next(text for text in parsed(drawing).iter("text") if text.find("title") is not None)
    assert label.findtext("title") == long
    assert label.text is not None
    assert label.text.endswith("…")
    assert len(label.text) < 20


def test_every_status_has_a_shape_of_its_own() -> None:
    shapes = set()
    for status in ("green", "yellow", "red", "inconclusive"):
        shape = parsed(mark(status, 0, 0))
        shapes.add((shape.tag, len((shape.get("points") or "").split())))
    assert len(shapes) == 4
