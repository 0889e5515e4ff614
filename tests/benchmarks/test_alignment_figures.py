"""The figures of arms with several seeds: by hand, and by what they must not depend on."""

import numpy as np
import pytest

from benchmarks.alignment_figures import against, are_similar, mean, points


def test_mean_and_seeds():
    found = mean(np.array([[0.0, 1.0], [2.0, 3.0]]))
    assert (found["value"], found["count"], found["by_seed"]) == (1.5, 4, [0.5, 2.5])
    low, high = found["interval"]
    assert (low, high) == (0.0, 3.0)  # one seed and one prompt drawn twice each: 1 of 16


def test_values_without_weight_do_not_count():
    values, weights = np.array([[5.0, 1.0, 7.0]]), np.array([[0.0, 1.0, 0.0]])
    found = mean(values, weights)
    assert (found["value"], found["count"], found["interval"]) == (1.0, 1, [1.0, 1.0])
    nothing = mean(values, np.zeros_like(values))
    assert (nothing["value"], nothing["interval"], nothing["by_seed"]) == (None, [], [None])


def test_the_interval_holds_the_spread_of_seeds_as_of_prompts():
    prompts = np.tile(np.linspace(-1, 1, 50), (3, 1))
    seeds = np.tile(np.array([[-1.0], [0.0], [1.0]]), (1, 50))
    width = {name: np.ptp(mean(one)["interval"]) for name, one in (("p", prompts), ("s", seeds))}
    # a mean of 50 and one of 3, uniform on [-1, 1]: 4 standard errors each
    assert width["p"] == pytest.approx(4 * 0.589 / 50**0.5, rel=0.1)
    assert width["s"] > 1.2


def test_points_and_similar_lengths():
    one, two = np.array([[1.0, 2.0, 2.0]]), np.array([[2.0, 2.0, 1.0]])
    assert points(one, two).tolist() == [[0.0, 0.5, 1.0]]
    assert are_similar(np.array([[75.0, 74.0, 0.0]]), np.array([[100.0] * 2 + [0.0]])).tolist() == [
        [1.0, 0.0, 1.0]
    ]


def test_what_length_explains_is_taken_out_and_nothing_of_the_arm():
    generator = np.random.default_rng(0)
    lengths = {name: generator.uniform(50, 500, (3, 40)) for name in ("long", "short", "other")}
    lengths["long"] = lengths["long"] + 200
    of_prompt = generator.normal(size=40)
    rewards = {name: of_prompt + 0.01 * one for name, one in lengths.items()}
    rewards["long"] = rewards["long"] - 0.5
    found = against("long", "short", rewards, lengths)
    assert found["difference"]["value"] > 1, "longer, and so more"
    equal = found["difference_at_equal_length"]
    assert equal["slope"] == pytest.approx(0.01)
    assert equal["value"] == pytest.approx(-0.5)
    assert equal["interval"] == pytest.approx([-0.5, -0.5])


def test_the_slope_is_estimated_anew_in_each_resample():
    generator = np.random.default_rng(1)
    lengths = {"long": generator.uniform(200, 300, (3, 20)), "short": np.full((3, 20), 50.0)}
    noise = {name: generator.normal(size=(3, 20)) for name in lengths}
    equal = against("long", "short", noise, lengths)["difference_at_equal_length"]
    plain = mean(noise["long"] - noise["short"])
    assert np.ptp(equal["interval"]) > 2 * np.ptp(plain["interval"])


def test_lengths_that_do_not_differ_explain_nothing():
    rewards = {"a": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.ones((2, 2))}
    lengths = {name: np.full((2, 2), 9.0) for name in rewards}
    found = against("a", "b", rewards, lengths)
    assert found["difference"]["by_seed"] == [0.5, 2.5]
    assert found["won"]["value"] == 0.875
    assert found["difference_at_equal_length"]["slope"] == 0.0
    assert found["difference_at_equal_length"]["value"] == found["difference"]["value"]
