"""The figures of a benchmark: well-formed, escaped, the same each time, nothing from elsewhere."""

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from flr.report.bench.figures import MAX_DOTS, accuracy_bins, bars, dots, systems
from flr.report.bench.items import Bin
from flr.report.bench.words import kind_of
from flr.report.svg import BLUE, OF_PAGE, VERMILLION, WIDTH, round_numbers, size
from tests.report.bench.samples import HOSTILE


def figure(value: Any, low: Any = None, high: Any = None, **more: Any) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "count": 9, **more}


PAIRWISE = kind_of({"kind": "pairwise", "robustness": False, "chance": 0.5})
RATING = kind_of({"kind": "rating", "robustness": False, "chance": 0.0})
RATES = {"flr:mean:default": figure(0.575, 0.5, 0.65), "length": figure(0.25)}
LENGTHS = np.array([3.0, -2000.0, 50.0, 0.0])

DRAWINGS: dict[str, Callable[[str], str]] = {
    "bars": lambda title: bars(PAIRWISE, RATES, "one", title),
    "correlations": lambda title: bars(RATING, {"a": figure(-0.5, -1, 0)}, "one", title),
    "no answer": lambda title: bars(RATING, {"a": figure(None)}, "one", title),
    "dots": lambda title: dots({"": (LENGTHS, LENGTHS / 7)}, ("x", "y"), "one", title),
    "one dot": lambda title: dots({"": (LENGTHS[:1], LENGTHS[:1])}, ("x", "y"), "one", title),
    "equal dots": lambda title: dots({"": (LENGTHS * 0, LENGTHS * 0)}, ("x", "y"), "one", title),
    "two sides": lambda title: dots(
        {"good": (LENGTHS, LENGTHS / 7), "spoilt": (LENGTHS + 9, LENGTHS)}, ("x", "y"), "one", title
    ),
    "bins": lambda title: accuracy_bins([Bin(0.1, figure(0.5, 0.4, 0.6))], 0.5, "one", title),
    "no interval": lambda title: accuracy_bins(
        [Bin(0.0, figure(0, np.nan, np.nan))], 0.25, "one", title
    ),
    "systems": lambda title: systems({"s": figure(0.5, 0.4, 0.6, elo=1000.0)}, "one", title),
}

each_drawing = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


def texts(svg: str) -> list[str]:
    return [str(node.text) for node in ElementTree.fromstring(svg).iter("text")]


@each_drawing
def test_a_figure_is_well_formed_named_and_scales(draw: Callable[[str], str]):
    root = ElementTree.fromstring(draw("What & <why>"))
    assert root.tag == "svg"
    assert root.get("aria-label") == "What & <why>"
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert root[0].text == "What & <why>"
    assert str(root.get("viewBox")).startswith(f"0 0 {WIDTH} ")
    assert not {"width", "height"} & set(root.keys())


@each_drawing
def test_a_figure_needs_nothing_from_elsewhere(draw: Callable[[str], str]):
    svg = draw("t")
    assert not re.search(r"http|<\?xml|<!|<style|<script|<image|<metadata|font-family", svg)
    assert all(target.startswith("#one-") for target in re.findall(r'href="([^"]*)"', svg))
    assert all(target.startswith("#one-") for target in re.findall(r"url\(([^)]*)\)", svg))
    names = re.findall(r'\sid="([^"]*)"', svg)
    assert len(names) == len(set(names))
    assert all(name.startswith("one-") for name in names)


@each_drawing
def test_the_same_input_gives_the_same_bytes(draw: Callable[[str], str]):
    assert draw("t") == draw("t")


@each_drawing
def test_colours_are_those_of_the_page(draw: Callable[[str], str]):
    svg = draw("t")
    assert not any(number in svg for number in OF_PAGE)
    assert "var(--ink" in svg


def test_bars_show_every_name_and_figure():
    shown = texts(DRAWINGS["bars"]("t"))
    expected = ["flr:mean:default", "57.5 % [50.0, 65.0]", "length", "25.0 %"]
    assert [text for text in shown if text in expected] == expected
    assert "Accuracy; dashed: chance" in shown


def test_bars_of_families_have_their_colours():
    svg = DRAWINGS["bars"]("t")
    assert OF_PAGE[BLUE] in svg
    assert OF_PAGE[BLUE] not in bars(PAIRWISE, {"random": figure(0.5)}, "one", "t")
    assert OF_PAGE[BLUE] in bars(PAIRWISE, {"random": figure(0.5)}, "one", "t", of="flr")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_obeyed(text: str):
    svg = bars(PAIRWISE, {text: figure(0.5)}, "one", text)
    assert svg.encode()
    assert len(list(ElementTree.fromstring(svg).iter())) == len(
        list(ElementTree.fromstring(bars(PAIRWISE, {"a": figure(0.5)}, "one", "t")).iter())
    )
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", svg)


def test_a_name_that_looks_like_a_mark_stays_what_it_is():
    names = ["@1@", "@0@"]
    shown = texts(bars(PAIRWISE, {name: figure(0.5) for name in names}, "one", "t"))
    assert [text for text in shown if text in names] == names


def test_long_names_are_cut_before_their_figure():
    name = "classifier:" + "x" * 200
    shown = texts(bars(PAIRWISE, {name: figure(0.5)}, "one", "t"))
    assert next(text for text in shown if text.startswith("class")).endswith("x…")


def test_of_very_many_dots_some_are_drawn():
    x = np.arange(20_000, dtype=np.float64)
    for series in ({"": (x, x)}, {"good": (x, x), "spoilt": (x, x)}):
        svg = dots(series, ("x", "y"), "one", "t")
        assert len(svg) < 150_000
        assert MAX_DOTS <= svg.count("<use") <= MAX_DOTS + 60


def test_two_sides_have_marks_of_their_own_and_a_key():
    svg = DRAWINGS["two sides"]("t")
    assert [text for text in texts(svg) if text in ("good", "spoilt")] == ["good", "spoilt"]
    assert OF_PAGE[BLUE] in svg
    assert OF_PAGE[VERMILLION] in svg
    assert "good" not in texts(DRAWINGS["dots"]("t"))


@pytest.mark.parametrize(
    ("lengths", "shown"),
    [
        ([1.0, 99.0], {"0", "100"}),
        ([5.0, 90.0], {"25", "50", "75"}),
        ([60.0, 90.0], {"60", "70", "80", "90"}),
        ([200.0, 900.0], {"200", "400", "600", "800"}),
        ([50.0], {"50"}),
        ([-3000.0, 40.0], {"−1k", "−100", "0"}),
        ([30.0, 30000.0], {"100", "1k", "10k"}),
    ],
)
def test_lengths_of_any_range_have_ticks(lengths: list[float], shown: set[str]):
    x = np.array(lengths)
    assert shown <= set(texts(dots({"": (x, x * 0)}, ("x", "y"), "one", "t")))


@pytest.mark.parametrize(
    ("number", "shown"), [(-1500.0, "−1.5k"), (0.0, "0"), (-0.0, "0"), (0.25, "0.25")]
)
def test_tick_labels_are_short(number: float, shown: str):
    assert size(number) == shown


def test_round_numbers_lie_between_their_ends():
    for low, high in ((0.0, 100.0), (61.3, 64.9), (47.5, 52.5), (-90.0, -10.0), (0.0, 0.0)):
        found = round_numbers(low, high)
        assert found
        assert all(low <= number <= high and number == int(number) for number in found)
