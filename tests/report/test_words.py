"""How the figures of a benchmark are worded."""

from typing import Any

import pytest

from flr.report.words import (
    correlation,
    correlation_difference,
    ends_of,
    known,
    points,
    share,
    short,
)
from tests.report.bench.small import figure


def test_figures_are_worded_by_what_they_are():
    one = figure(0.5749, 0.525, -0.0004)
    assert share(one) == "57.5 % [52.5, 0.0]"
    assert points(one) == "+57.5 [+52.5, +0.0]"
    assert correlation(one) == "0.575 [0.525, 0.000]"
    assert correlation_difference(figure(-0.1, -0.2, 0.1)) == "-0.100 [-0.200, +0.100]"


@pytest.mark.parametrize("word", [share, points, correlation, correlation_difference])
@pytest.mark.parametrize("none", [None, figure(None), figure(float("nan"), 0.1, 0.2)])
def test_what_has_no_answer_is_a_dash(word: Any, none: Any):
    assert word(none) == "–"


def test_a_figure_without_both_ends_has_no_interval():
    for low, high in ((None, None), (0.1, None), (None, 0.9), (float("nan"), 0.9)):
        assert share(figure(0.5, low, high)) == "50.0 %"
        assert ends_of(figure(0.5, low, high)) is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (-0.0, "0"),
        (5.0, "5"),
        (0.0125, "0.0125"),
        (12.345, "12.3"),
        (-369.4, "-369"),
        (1234567.8, "1,234,568"),
        (2.5e-7, "2.50e-07"),
        (3e12, "3.00e+12"),
        (float("inf"), "–"),
    ],
)
def test_numbers_of_any_size_are_short(number: float, shown: str):
    assert short(number) == shown


def test_only_finite_numbers_are_known():
    assert all(map(known, (0, 1.5, -3)))
    assert not any(map(known, (None, "1", float("nan"), float("inf"), [])))
