"""Fitting: gradients, limits, and what may not change a weight."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.calibration.fitting import Problem, fit, membership, objective, parts, problem_of
from flr.rewards import coefficients
from tests.calibration.planted import SHORT, coin, differences, only
from tests.sets import a_set, weighted

PAIRS = 60
seeds = st.integers(0, 2**32 - 1)


def problem(found: np.ndarray, *, single: bool, followup_set=SHORT) -> Problem:
    weights = np.random.default_rng(1).uniform(0.2, 1.0, len(found))
    return problem_of(parts(found, followup_set), weights, followup_set, single=single)[0]


def test_hand_derived_parts():
    texts = a_set(("a", "p", 1), ("a", "q", 1), ("a", "n", -1), ("b", "r", 1), ("b", "m", -1))
    # shift of a: ((3 + 1) / 2 + 0) / 2 = 1, of b: (1 + 5) / 2 = 3; half the reward each
    found = parts(np.array([[3.0, 1.0, 0.0, 1.0, 5.0]]), texts)
    assert found.tolist() == [[0.5, 0.0, 0.5, -1.0, -1.0]]


@given(seeds)
def test_parts_sum_to_the_margin_and_a_shift_of_categories_changes_none(seed: int):
    generator = np.random.default_rng(seed)
    own = generator.uniform(0.1, 2, len(SHORT.followups)).tolist()
    followup_set = replace(weighted(SHORT, *own), weights={**SHORT.weights, "relevance": 3.0})
    found = generator.normal(size=(5, len(own)))
    added = parts(found, followup_set)
    margins = found @ coefficients(followup_set, followup_set.weights)
    assert added.sum(axis=1) == pytest.approx(margins, abs=1e-12)
    shifts = generator.normal(0, 5, (5, len(followup_set.categories)))
    moved = parts(found + shifts @ membership(followup_set), followup_set)
    assert moved == pytest.approx(added, abs=1e-12)


@given(seeds, st.sampled_from([0.0, 0.1, 10.0]), st.booleans())
def test_gradient_is_that_of_finite_differences(seed: int, penalty: float, single: bool):
    generator = np.random.default_rng(seed)
    given_ = problem(generator.normal(size=(20, len(SHORT.followups))), single=single)
    theta = generator.uniform(0, 2, given_.features.shape[1])
    step = 1e-6
    expected = [
        (objective(theta + one, given_, penalty)[0] - objective(theta - one, given_, penalty)[0])
        / (2 * step)
        for one in step * np.eye(len(theta))
    ]
    assert objective(theta, given_, penalty)[1] == pytest.approx(np.array(expected), abs=1e-7)


@pytest.mark.parametrize("single", [False, True])
def test_the_largest_penalty_is_one_factor_and_large_ones_come_near_it(single: bool):
    given_ = problem(differences(PAIRS, only("correctness", 0.6)), single=single)
    found = dict(fit(given_, [1e6, inf]))
    assert np.ptp(found[inf]) == 0 < found[inf][0]
    assert found[1e6] == pytest.approx(found[inf], rel=1e-3)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("penalty", [0.003, 0.1])
def test_no_feasible_step_goes_down_from_what_was_found(single: bool, penalty: float):
    given_ = problem(differences(PAIRS, only("correctness")), single=single)
    ((_, theta),) = fit(given_, [penalty])
    value = objective(theta, given_, penalty)[0]
    assert (theta >= 0).all()
    assert given_.balance @ theta == pytest.approx(np.zeros(len(given_.balance)), abs=1e-9)
    generator = np.random.default_rng(0)
    # random steps, made feasible: kept balanced, and off the bound
    free = np.eye(len(theta)) - np.linalg.pinv(given_.balance) @ given_.balance
    for _ in range(300):
        step = free @ generator.normal(size=len(theta))
        for size in (1e-2, 1e-3):
            other = theta + size * step
            if (other >= 0).all():
                assert objective(other, given_, penalty)[0] >= value - 1e-8
    towards = np.ones(len(theta))
    for other in (0.99 * theta + 0.01 * towards, 0.9 * theta, 1.1 * theta):
        assert objective(other, given_, penalty)[0] >= value - 1e-8


def test_pairs_in_order_without_exception_have_an_end():
    ordered = np.abs(differences(30, coin)) * [f.polarity for f in SHORT.followups]
    for _, theta in fit(problem(ordered, single=False), [inf, 0.001]):
        assert np.isfinite(theta).all()
        assert (theta <= 100).all()


@settings(max_examples=10)
@given(seeds)
def test_a_common_shift_of_all_values_changes_no_weight(seed: int):
    found = differences(PAIRS, only("correctness"))
    shift = np.random.default_rng(seed).normal(0, 10, (PAIRS, 1))
    for single in (False, True):
        plain, moved = (
            dict(fit(problem(one, single=single), [0.01]))[0.01] for one in (found, found + shift)
        )
        assert moved == pytest.approx(plain, abs=2e-3)


def test_the_unit_changes_no_weight():
    found = differences(PAIRS, only("correctness"))
    plain, scaled = (
        dict(fit(problem(one, single=False), [0.01]))[0.01] for one in (found, 1000 * found)
    )
    assert scaled == pytest.approx(plain, rel=1e-6)
