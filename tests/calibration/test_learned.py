"""The set that factors make."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr import followups
from flr.calibration.fitting import parts, problem_of
from flr.calibration.learned import with_category_factors, with_followup_factors
from flr.calibration.measured import coefficients_in
from flr.rewards import coefficients
from tests.calibration.planted import SHORT
from tests.sets import weighted

SIZE, CATEGORIES = len(SHORT.followups), len(SHORT.categories)
seeds = st.integers(0, 2**32 - 1)


def some_set(generator: np.random.Generator):
    own = generator.uniform(0.1, 2, SIZE).tolist()
    weights = dict(
        zip(SHORT.categories, generator.uniform(0.1, 2, CATEGORIES).tolist(), strict=True)
    )
    return replace(weighted(SHORT, *own), weights=weights)


def balanced(followup_set, generator: np.random.Generator) -> np.ndarray:
    """Factors with both sides of a category of one weight, some of them 0."""
    problem, _ = problem_of(
        parts(np.ones((1, SIZE)), followup_set), np.ones(1), followup_set, single=True
    )
    theta = generator.uniform(0, 2, SIZE) * (generator.random(SIZE) > 0.3)
    for row in problem.balance:
        positive, negative = row @ (theta * (row > 0)), -row @ (theta * (row < 0))
        both = min(positive, negative) > 0
        theta[row > 0] *= negative / positive if both else 0
        theta[row < 0] *= both
    return theta


@settings(max_examples=50)
@given(seeds)
def test_a_written_set_scores_as_its_factors_say(tmp_path_factory, seed: int):
    generator = np.random.default_rng(seed)
    followup_set, path = some_set(generator), tmp_path_factory.getbasetemp() / "learned.yaml"
    cases = (
        (with_category_factors, generator.uniform(0, 2, CATEGORIES)),
        (with_followup_factors, balanced(followup_set, generator)),
    )
    for with_factors, theta in cases:
        of_each = theta
        if len(theta) == CATEGORIES:
            of_each = np.array([theta[SHORT.categories.index(f.category)] for f in SHORT.followups])
        wanted = coefficients(followup_set, followup_set.weights) * of_each
        if not wanted.any():
            continue
        path.write_text(followups.to_yaml(with_factors(followup_set, theta)), "utf-8")
        found = coefficients_in(followup_set, followups.load(path))
        expected = wanted / wanted[wanted > 0].sum()
        assert found == pytest.approx(expected, abs=1e-12)


def test_equal_factors_change_no_share():
    for with_factors, count in ((with_category_factors, CATEGORIES), (with_followup_factors, SIZE)):
        for factor in (0.0, 1.0, 7.0):  # 0: the labels say nothing of the weights
            made = with_factors(SHORT, np.full(count, factor))
            assert coefficients(made, made.weights) == pytest.approx(
                coefficients(SHORT, SHORT.weights), abs=1e-15
            )


def test_what_has_next_to_nothing_is_dropped():
    theta = np.ones(CATEGORIES)
    theta[:2] = 0.0, 1e-7
    made = with_category_factors(SHORT, theta)
    assert made.categories == SHORT.categories[2:]
    assert made.weights == dict.fromkeys(SHORT.categories[2:], 1.0)
    single = np.ones(SIZE)
    single[0] = 1e-7
    single[4:6] = 0.0  # all positives of the second category
    made = with_followup_factors(SHORT, single)
    assert SHORT.followups[0] not in made.followups
    assert SHORT.followups[1] in made.followups
    assert SHORT.categories[1] not in made.categories
    assert followups.problems(made) == ()
