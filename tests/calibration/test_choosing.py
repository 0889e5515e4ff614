"""The penalty that cross-validation chooses."""

from math import inf

import numpy as np
import pytest

from flr.calibration.choosing import FOLDS, PENALTIES, Tried, by_prompt, chosen, try_penalties
from flr.calibration.fitting import parts, problem_of
from tests.calibration.planted import SHORT, coin, differences, everywhere, only


def tried(quality, seed: int, pairs: int = 200, single: bool = False) -> list[Tried]:
    added = parts(differences(pairs, quality, seed), SHORT)
    problem, _ = problem_of(added, np.ones(pairs), SHORT, single=single)
    return try_penalties(problem, np.arange(pairs), seed)


def test_every_penalty_is_tried_and_the_best_has_no_excess():
    found = tried(only("correctness"), 0)
    assert [one.penalty for one in found] == sorted(PENALTIES, reverse=True)
    best = min(found, key=lambda one: one.loss)
    assert best.excess == best.error == 0
    assert all(one.excess == pytest.approx(one.loss - best.loss) for one in found)


def test_coin_flips_and_a_set_that_is_right_as_it_is_mostly_leave_the_weights():
    for quality in (coin, everywhere):
        stayed = [chosen(tried(quality, seed)) == inf for seed in range(10)]
        assert sum(stayed) >= 7


def test_a_category_that_carries_the_label_lets_weights_go():
    assert all(chosen(tried(only("correctness"), seed)) < 1 for seed in range(5))


def test_pairs_of_a_prompt_are_never_on_both_sides():
    # Each prompt twice, with labels that only a model that has seen the prompt could know.
    generator = np.random.default_rng(0)
    once = generator.normal(size=(40, 1)) * [f.polarity for f in SHORT.followups]
    once *= generator.choice([-1.0, 1.0], (40, len(SHORT.followups)))
    added = parts(np.concatenate([once, once]), SHORT)
    problem, _ = problem_of(added, np.full(80, 0.5), SHORT, single=True)
    prompt = np.tile(np.arange(40), 2)
    loosest = try_penalties(problem, prompt, 0, [inf, 0.001])[-1]
    leaking = try_penalties(problem, np.arange(80), 0, [inf, 0.001])[-1]
    assert leaking.loss < loosest.loss
    assert FOLDS == 5


def test_by_prompt_weighs_pairs():
    values, prompt = np.array([1.0, 0.0, 1.0]), np.array([0, 0, 1])
    assert by_prompt(values, prompt, np.array([0.25, 0.75, 1.0]), 2).tolist() == [0.25, 1.0]
