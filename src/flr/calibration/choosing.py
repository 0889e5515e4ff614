"""How far weights may go from those of the set: the penalty, chosen by cross-validation.

The pairs of a prompt stay together. Each fold is predicted by weights fitted to the others; a
penalty is judged by its loss (negative log-likelihood, nats a prompt) on all prompts. Taken is the
largest penalty whose loss exceeds the best one's by no more than a standard error of that
difference over the prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from flr.calibration.fitting import Problem, fit, losses

FOLDS = 5

PENALTIES = (float("inf"), *(10.0**power for power in (1, 0.5, 0, -0.5, -1, -1.5, -2, -2.5, -3)))
"""Values of lambda that are tried; the first leaves the weights as they are."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One value of lambda.

    Args:
        penalty: the value.
        loss: mean negative log-likelihood of prompts that it was not fitted to, nats.
        excess: how much larger than that of the best value.
        error: standard error of `excess` over the prompts.
    """

    penalty: float
    loss: float
    excess: float
    error: float


def by_prompt(
    values: Float[np.ndarray, " pair"],
    prompt: Int[np.ndarray, " pair"],
    weights: Float[np.ndarray, " pair"],
    prompts: int,
) -> Float[np.ndarray, " prompt"]:
    """The weighted mean of the values of each prompt's pairs.

    Example:
        >>> by_prompt(np.array([1.0, 0.0, 0.5]), np.array([0, 0, 1]), np.array([0.5, 0.5, 1.0]), 2)
        array([0.5, 0.5])
    """
    return np.bincount(prompt, weights * values, prompts) / np.bincount(prompt, weights, prompts)


def _held_out_losses(
    problem: Problem,
    prompt: Int[np.ndarray, " pair"],
    fold: Int[np.ndarray, " prompt"],
    penalties: Sequence[float],
) -> Float[np.ndarray, "penalty prompt"]:
    """Loss of each prompt under each penalty, the largest first, fitted without its fold."""
    found = np.zeros((len(penalties), len(problem.weights)))
    for one in range(fold.max() + 1):
        inside = fold[prompt] == one
        for row, (_, theta) in zip(found, fit(problem.where(~inside), penalties), strict=True):
            row[inside] = losses(problem.features[inside] @ theta)
    return np.stack([by_prompt(row, prompt, problem.weights, len(fold)) for row in found])


def try_penalties(
    problem: Problem,
    prompt: Int[np.ndarray, " pair"],
    seed: int,
    penalties: Sequence[float] = PENALTIES,
) -> list[Tried]:
    """Every penalty by cross-validation.

    Args:
        problem: to be solved.
        prompt: prompt of each pair, from 0, none left out.
        seed: of the folds.
        penalties: values of lambda.

    Returns:
        One a penalty, the largest first.
    """
    prompts = int(prompt.max()) + 1
    fold = np.random.default_rng(seed).permutation(prompts) % FOLDS
    penalties = sorted(penalties, reverse=True)
    found = _held_out_losses(problem, prompt, fold, penalties)
    apart = found - found[found.mean(axis=1).argmin()]
    errors = apart.std(axis=1, ddof=1) / np.sqrt(prompts)
    columns = zip(penalties, found.mean(axis=1), apart.mean(axis=1), errors, strict=True)
    return [Tried(penalty, *map(float, figures)) for penalty, *figures in columns]


def chosen(tried: Sequence[Tried]) -> float:
    """The largest penalty that is within a standard error of the best.

    Example:
        >>> chosen([Tried(10.0, 0.69, 0.02, 0.01), Tried(1.0, 0.675, 0.005, 0.01)])
        1.0
    """
    return max(one.penalty for one in tried if one.excess <= one.error)
