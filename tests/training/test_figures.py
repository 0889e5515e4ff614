"""TRL's log as curves and figures."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flr.training.figures import curves, ends, evaluated

LOG: list[dict[str, Any]] = [
    {"step": 1, "loss": 0.7, "rewards/accuracies": 0.5, "rewards/margins": 0.0, "grad_norm": 2.0},
    {"step": 1, "eval_loss": 0.69, "eval_rewards/margins": 0.0},
    {"step": 2, "loss": 0.5, "rewards/accuracies": 1.0, "grad_norm": 1.0},
    {"step": 2, "train_runtime": 3.0, "train_loss": 0.6},
]


def test_curves_hold_what_training_steps_logged():
    assert curves(LOG) == {
        "loss": [[1, 0.7], [2, 0.5]],
        "accuracy": [[1, 0.5], [2, 1.0]],
        "margin": [[1, 0.0]],
        "gradient_norm": [[1, 2.0], [2, 1.0]],
    }
    assert curves([]) == {}


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=400), st.integers(1, 120))
def test_a_long_curve_is_one_of_means_with_nothing_lost(values: list[float], points: int):
    log = [{"step": at, "loss": value} for at, value in enumerate(values, 1)]
    found = curves(log, points)["loss"]
    assert len(found) == min(points, len(values))
    assert found[-1][0] == len(values)
    steps = [0, *(step for step, _ in found)]
    total = sum(
        mean * (end - begin) for begin, end, (_, mean) in zip(steps, steps[1:], found, strict=False)
    )
    assert abs(total - sum(values)) < 1e-6 * max(1.0, sum(map(abs, values)))


def test_first_and_last_are_tenths_of_the_steps():
    log = [{"step": at, "loss": float(at)} for at in range(1, 31)]
    assert ends(log) == {"loss": {"first": 2.0, "last": 29.0}}  # of 1, 2, 3 and 28, 29, 30
    assert ends(LOG)["accuracy"] == {"first": 0.5, "last": 1.0}
    assert ends([]) == {}


def test_an_evaluation_has_what_trl_gives():
    found = {"eval_loss": 0.6, "eval_rewards/margins": 0.2, "eval_runtime": 1.0, "epoch": 1.0}
    assert evaluated(found) == {"loss": 0.6, "margin": 0.2}
