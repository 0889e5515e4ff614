"""What is measured on prompts that nothing was learned from."""

import numpy as np
import pytest

from flr.calibration.labelled import Labelled
from flr.calibration.measured import coefficients_in, compared, curve, prompt_points
from flr.calibration.pruning import ordered, part_of
from flr.rewards import coefficients
from tests.calibration.planted import SHORT, differences, only

SIZE = len(SHORT.followups)


def labelled(found: np.ndarray) -> Labelled:
    return Labelled(found, np.arange(len(found)), np.ones(len(found)), {})


def test_ties_are_half_and_a_prompt_counts_once():
    found = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    weights = np.array([0.5, 0.5, 1.0, 1.0])
    pairs = Labelled(found, np.array([0, 0, 1, 2]), weights, {})
    assert prompt_points(pairs, np.array([1.0, -1.0])).tolist() == [0.5, 0.5, 1.0]


def test_coefficients_of_a_part_stand_at_their_places():
    part = part_of(SHORT, np.array([1, 3, 20, 23]))
    found = coefficients_in(SHORT, part)
    assert np.flatnonzero(found).tolist() == [1, 3, 20, 23]
    assert found[[1, 3, 20, 23]].tolist() == coefficients(part, part.weights).tolist()
    assert coefficients_in(SHORT, SHORT).tolist() == coefficients(SHORT, SHORT.weights).tolist()


def test_a_set_is_no_better_than_itself():
    found = compared(labelled(differences(50, only("correctness"))), SHORT, SHORT, seed=0)
    assert found["difference"] == {"value": 0.0, "interval": [0.0, 0.0], "count": 50}
    assert found["before"] == found["after"]


def test_the_curve_ends_with_the_whole_set_whatever_the_order():
    pairs = labelled(differences(60, only("correctness")))
    category = [float(f.category == "correctness") for f in SHORT.followups]
    points = curve(pairs, SHORT, ordered(SHORT, np.array(category)), seed=0)
    whole = compared(pairs, SHORT, SHORT, seed=0)["before"]
    assert points[-1]["accuracy"] == whole
    assert [points[-1][name] for name in ("random", "lowest")] == pytest.approx(
        [whole["value"]] * 2
    )
    assert [point["followups"] for point in points][:2] == [2, 4]
    assert points[0]["accuracy"]["value"] > points[0]["random"] + 0.1
    for point in points:
        assert point["lowest"] - 1e-12 <= point["random"] <= point["highest"] + 1e-12
