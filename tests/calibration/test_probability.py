"""From margins to probabilities."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flr
from flr import runs
from flr.calibration.probability import Calibration, knots
from flr.errors import UserError

margins_of = st.lists(st.floats(-3, 3).map(lambda m: round(m, 3)), min_size=1, max_size=40)


def calibration(margins: list[float]) -> Calibration:
    found = knots(np.array(margins), np.ones(len(margins)))
    return Calibration(*(np.array(column) for column in zip(*found, strict=True)))


@given(margins_of, st.lists(st.floats(-5, 5), min_size=2, max_size=9))
def test_probabilities_rise_are_symmetric_and_never_certain(margins, asked):
    found = calibration(margins)
    values = [found.reward_probability(margin) for margin in sorted(asked)]
    assert all(0 < value < 1 for value in values)
    assert all(low <= high + 1e-12 for low, high in pairwise(values))
    for margin in asked:
        there, back = found.reward_probability(margin), found.reward_probability(-margin)
        assert there + back == pytest.approx(1, abs=1e-9)


def test_probabilities_are_those_of_the_labels():
    generator = np.random.default_rng(0)
    size = generator.uniform(0, 2, 20_000)
    right = generator.random(20_000) < 1 / (1 + np.exp(-size))
    found = calibration(np.where(right, size, -size).tolist())
    for margin in (0.3, 1.0, 1.7):
        assert found.reward_probability(margin) == pytest.approx(
            1 / (1 + np.exp(-margin)), abs=0.04
        )


def test_beyond_the_last_knot_nothing_is_made_up():
    found = calibration([0.1] * 8)
    assert found.reward_probability(0.1) == found.reward_probability(99.0) == 0.9
    assert calibration([0.0]).reward_probability(5.0) == 0.5


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "set.yaml"
    path.write_text("anything")
    runs.write_record(path, "key", {"probability": {"knots": [[-1.0, 0.25], [1.0, 0.75]]}})
    return path


def test_a_set_is_read_with_what_its_margins_mean(made: Path):
    assert flr.calibration_of(made).reward_probability(0.5) == 0.625
    assert flr.calibration_of(str(made)).reward_probability(-2.0) == 0.25


def test_a_set_that_was_changed_since_is_refused(made: Path):
    made.write_text("something else")
    with pytest.raises(UserError, match="calibrate it anew"):
        flr.calibration_of(made)


@pytest.mark.parametrize(
    "record",
    ["", "{", "[]", "{}", *({"probability": {"knots": k}} for k in ([], 3, [[1]], ["ab"]))],
)
def test_no_record_of_calibrate_is_said(tmp_path: Path, record):
    path = tmp_path / "set.yaml"
    path.write_text("anything")
    text = record if isinstance(record, str) else json.dumps(record)
    runs.record_path(path).write_text(text)
    with pytest.raises(UserError, match=r"no record of flr calibrate .*flr calibrate SCORED -o"):
        flr.calibration_of(path)
