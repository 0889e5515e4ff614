"""What a training says of itself: TRL's log as curves and figures, pure functions.

TRL's implicit reward of a response is beta * (log p_policy - log p_first policy); `accuracy` is the
share of pairs whose chosen response has the higher one, `margin` the mean difference of chosen and
rejected (for kto: of desirable and undesirable) ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NAMES = {
    "loss": "loss",
    "accuracy": "rewards/accuracies",
    "margin": "rewards/margins",
    "gradient_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""Our name of a figure, and TRL's."""

POINTS = 100
"""Most points of a curve; where there are more steps, each point is the mean of several."""

ENDS = 10
"""The first and the last figure of a curve are means over a tenth of the steps."""


def _logged(log: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """The steps at which a figure was logged, and its values."""
    found = [(entry["step"], entry[name]) for entry in log if name in entry and "loss" in entry]
    return [step for step, _ in found], [float(value) for _, value in found]


def curves(log: Sequence[Mapping[str, Any]], points: int = POINTS) -> dict[str, Any]:
    """The figures by step.

    Args:
        log: TRL's, entry by entry.
        points: most of a curve.

    Returns:
        By the names of `NAMES`, pairs of the last step of a point and the mean up to it; nothing of
        what was not logged.

    Example:
        >>> curves([{"step": at, "loss": 1.0 - at / 8} for at in (1, 2, 3, 4)], points=2)
        {'loss': [[2, 0.8125], [4, 0.5625]]}
    """
    found: dict[str, Any] = {}
    for name, theirs in NAMES.items():
        steps, values = _logged(log, theirs)
        parts = np.array_split(np.arange(len(steps)), min(points, len(steps)) or 1)
        if steps:
            found[name] = [[steps[at[-1]], float(np.mean([values[i] for i in at]))] for at in parts]
    return found


def held_out_curve(log: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """The loss on held-out rows by step, where it was looked at while training.

    Example:
        >>> held_out_curve([{"step": 5, "eval_loss": 2.5}, {"step": 5, "loss": 2.0}])
        [(5, 2.5)]
    """
    return [(entry["step"], float(entry["eval_loss"])) for entry in log if "eval_loss" in entry]


def ends(log: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Loss, accuracy and margin of the first and the last tenth of the steps (of one, at least).

    Example:
        >>> ends([{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}])
        {'loss': {'first': 0.5, 'last': 0.25}}
    """
    found: dict[str, dict[str, float]] = {}
    for name in ("loss", "accuracy", "margin"):
        _, values = _logged(log, NAMES[name])
        count = max(1, len(values) // ENDS)
        if values:
            first, last = np.mean(values[:count]), np.mean(values[-count:])
            found[name] = {"first": float(first), "last": float(last)}
    return found


def evaluated(found: Mapping[str, Any]) -> dict[str, float]:
    """Loss, accuracy and margin of one evaluation, as far as TRL gives them."""
    names = {name: f"eval_{NAMES[name]}" for name in ("loss", "accuracy", "margin")}
    return {name: float(found[theirs]) for name, theirs in names.items() if theirs in found}
