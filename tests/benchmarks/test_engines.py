"""When an engine counts as further off than the noise floor."""

import numpy as np

from benchmarks.engines import holds, is_above

FLOOR = np.abs(np.random.default_rng(0).normal(size=(20, 6)))


def test_as_far_off_as_the_floor_is_not_above_it():
    assert not is_above(FLOOR, FLOOR)
    assert not is_above(FLOOR / 2, FLOOR)
    assert not is_above(np.abs(np.random.default_rng(1).normal(size=(20, 6))), FLOOR)
    assert not is_above(np.zeros((20, 6)), np.zeros((20, 6)))  # the exact forward itself


def test_a_larger_mean_one_gross_row_or_no_number_is_above_it():
    assert is_above(FLOOR * 1.5, FLOOR)
    for value in (4 * FLOOR.max(), np.nan):
        gross = FLOOR.copy()
        gross[3, 2] = value
        assert is_above(gross, FLOOR)


def test_a_contract_holds_where_tests_were_passed_and_none_left_out():
    assert holds("11 passed, 82 deselected in 1.37s")
    assert not holds("11 passed, 1 skipped in 1.37s")
    assert not holds("10 passed, 1 failed in 1.37s")
    assert not holds("82 deselected in 1.37s")
