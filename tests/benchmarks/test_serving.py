"""What is read of a server's answers: so many numbers, or an error that is counted."""

from typing import Any

import pytest

from benchmarks.serving import _rewards

ANSWERS: dict[str, Any] = {
    "/score": {"scores": [{"reward": 0.5}, {"reward": -1}]},
    "/get_reward": {"rewards": [0.5, -1]},
    "/classify": {"data": [{"probs": [0.5]}, {"probs": [-1]}]},
}


@pytest.mark.parametrize("path", ANSWERS)
def test_each_form_is_read(path: str):
    assert _rewards(path, ANSWERS[path], 2) == [0.5, -1.0]
    with pytest.raises(ValueError, match="3 rewards"):
        _rewards(path, ANSWERS[path], 3)
    with pytest.raises((KeyError, TypeError)):
        _rewards(path, {}, 1)


def test_a_reward_that_is_none_is_not_one():
    with pytest.raises(TypeError):
        _rewards("/score", {"scores": [{"reward": None}]}, 1)
