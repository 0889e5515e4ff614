"""From a margin to a probability: how likely the response with the higher reward is the better one.

The probability rises with the margin and is otherwise free: isotonic regression of what labelled
pairs say. Each pair counts in both orders, so p(-m) = 1 - p(m). Between knots it is linear; beyond
the last it stays what it is there; never is it 0 or 1, as few pairs as there are.

Source: Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability
estimates, KDD 2002.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression

from flr import runs
from flr.errors import UserError


def _both_orders(
    margins: Float[np.ndarray, " pair"], weights: Float[np.ndarray, " pair"]
) -> tuple[Float[np.ndarray, " margin"], ...]:
    """Each different margin once, the share of its pairs in the right order, its weight."""
    both = np.concatenate([margins, -margins])
    different, index = np.unique(both, return_inverse=True)
    total = np.bincount(index, np.concatenate([weights, weights]))
    right = np.bincount(index[: len(margins)], weights, len(different))
    return different, right / total, total


def knots(
    margins: Float[np.ndarray, " pair"], weights: Float[np.ndarray, " pair"]
) -> list[tuple[float, float]]:
    """Margins and the probabilities there, rising; the ends of every step of the regression.

    Args:
        margins: reward of the better response less that of the worse, at least one.
        weights: of the pairs; they sum to the number of prompts.

    Example:
        >>> knots(np.array([0.2, 0.1, -0.1]), np.ones(3))
        [(-0.2, 0.2), (-0.1, 0.5), (0.1, 0.5), (0.2, 0.8)]
    """
    at, right, total = _both_orders(margins, weights)
    rising = np.asarray(isotonic_regression(right, weights=total).x)
    rising = (rising + 1 - rising[::-1]) / 2  # symmetric but for rounding
    least = 1 / (weights.sum() + 2)  # the rule of succession, of prompts that all agree
    values = np.clip(rising, least, 1 - least)
    steps = np.diff(values) > 1e-12
    ends = np.concatenate([[True], steps]) | np.concatenate([steps, [True]])
    return list(zip(at[ends].tolist(), values[ends].tolist(), strict=True))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What labels said of the margins of a follow-up set; `flr.calibration_of` reads one.

    Args:
        margins: of the knots, rising; nats a token.
        probabilities: at the knots.
    """

    margins: Float[np.ndarray, " knot"]
    probabilities: Float[np.ndarray, " knot"]

    def reward_probability(self, margin: float) -> float:
        """The probability that the response with a reward higher by `margin` is the better one.

        Args:
            margin: of rewards by the calibrated set, nats a token; negative for the other order.

        Example:
            >>> found = Calibration(np.array([-0.2, 0.2]), np.array([0.1, 0.9]))
            >>> round(found.reward_probability(0.1), 3), found.reward_probability(5.0)
            (0.7, 0.9)
        """
        return float(np.interp(margin, self.margins, self.probabilities))


def _read_knots(record: object) -> list[tuple[float, float]]:
    match record:
        case {"probability": {"knots": [_, *_] as found}}:
            return [(float(margin), float(value)) for margin, value in found]
    raise ValueError("no knots")


def calibration_of(path: str | Path) -> Calibration:
    """What was learned with a set that `flr calibrate` wrote.

    Args:
        path: the set; its record lies beside it.

    Raises:
        UserError: no such record, or the set was changed since.
    """
    path = Path(path)
    record = runs.read_record(path)
    try:
        margins, values = zip(*_read_knots(record), strict=True)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: no record of flr calibrate lies beside it ({runs.record_path(path).name}); "
            f"make both with flr calibrate SCORED -o {path}"
        ) from error
    if not path.is_file() or record.get("output_sha256") != runs.file_sha256(path):
        raise UserError(f"{path}: is not the set that was calibrated; calibrate it anew")
    return Calibration(np.array(margins), np.array(values))
