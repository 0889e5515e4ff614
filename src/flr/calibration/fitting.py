"""Weights of categories or of follow-ups, fitted to labelled pairs: pure functions of arrays.

A reward is linear in the values of its follow-ups, `rewards` (4), so its margin in a pair (reward
of the better response less that of the worse) is a sum over follow-ups f, each with what it adds:

    part_f = c_f (d_f - shift_k),   d_f = l(f | better) - l(f | worse)                      (1)

with the coefficients c of the set as it is. The shift of f's category k is half the sum of the mean
d_f of its positive and of its negative follow-ups: it cancels in the margin, and with it all that a
longer or odder response does to a whole category. Learned is a factor theta_j for each feature x_j,
which is a category (the sum of its parts) or a single follow-up. With v the weights of pairs,

    minimise  sum_i v_i log(1 + exp(-theta . x_i / s)) / sum_i v_i
              + lambda mean_j (theta_j - mean(theta))^2                                     (2)
    where     theta_j >= 0,  and for follow-ups  sum_{f in k} c_f theta_f = 0               (3)

so that theta . x / sum_f |c_f| theta_f is again the reward of a set, (3) being what keeps the two
sides of a category of one weight. s is the root mean square of the margins at theta = 1: lambda
means the same in any unit. One factor for all is not penalised; lambda = infinity is the set as it
is. Source: regularised logistic regression on pairs is the model of Bradley and Terry, Biometrika
39, 1952, with the margin for the difference of strengths.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isinf

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import LinearConstraint, minimize

from flr.rewards import coefficients, side_weights
from flr.types import FollowUpSet

LARGEST_FACTOR, SMALLEST_FACTOR = 100.0, 1e-9
"""Pairs that a reward puts in order without exception would make a factor infinite; a smaller one
is the solver's 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What weights are fitted to.

    Args:
        features: x of (2), scaled by s.
        weights: v of (2), above 0.
        balance: c of (3), a row a category; no rows where whole categories are learned.
    """

    features: Float[np.ndarray, "pair feature"]
    weights: Float[np.ndarray, " pair"]
    balance: Float[np.ndarray, "category feature"]

    def where(self, kept: Bool[np.ndarray, " pair"]) -> "Problem":
        """The same of a part of the pairs."""
        return Problem(self.features[kept], self.weights[kept], self.balance)


def _own_shift(followup_set: FollowUpSet) -> Float[np.ndarray, "category followup"]:
    """What makes the shift of each category of d, a row a category."""
    shifts = np.zeros((len(followup_set.categories), len(followup_set.followups)))
    own = side_weights(followup_set.followups)
    for at, (one, (weight, total)) in enumerate(zip(followup_set.followups, own, strict=True)):
        shifts[followup_set.categories.index(one.category), at] = weight / total / 2
    return shifts


def membership(followup_set: FollowUpSet) -> Float[np.ndarray, "category followup"]:
    """1 where a follow-up is of a category, else 0."""
    return (_own_shift(followup_set) > 0).astype(np.float64)


def parts(
    differences: Float[np.ndarray, "pair followup"], followup_set: FollowUpSet
) -> Float[np.ndarray, "pair followup"]:
    """What each follow-up adds to the margin of each pair, equation (1).

    Args:
        differences: value after the better response less value after the worse, nats a token.
        followup_set: whose follow-ups they are, with the weights that it has.

    Returns:
        In the unit of the differences; the sum over follow-ups is the margin.
    """
    shift = differences @ _own_shift(followup_set).T @ membership(followup_set)
    return coefficients(followup_set, followup_set.weights) * (differences - shift)  # (1)


def problem_of(
    added: Float[np.ndarray, "pair followup"],
    weights: Float[np.ndarray, " pair"],
    followup_set: FollowUpSet,
    *,
    single: bool,
) -> tuple[Problem, float]:
    """The problem of learning the weights of a set.

    Args:
        added: from `parts`.
        weights: of the pairs.
        followup_set: of the same.
        single: learn a factor for each follow-up; else for each category.

    Returns:
        The problem, and s, the scale of its features; 0 where no pair has a margin.
    """
    of = membership(followup_set)
    margins = added.sum(axis=1)
    scale = float(np.sqrt(np.average(margins**2, weights=weights)))
    features = (added if single else added @ of.T) / (scale or 1.0)
    balance = of * coefficients(followup_set, followup_set.weights) if single else of[:0, :1]
    balance = np.broadcast_to(balance, (len(balance), features.shape[1]))
    return Problem(features, weights, np.array(balance)), scale


def losses(margins: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """Negative log-likelihood of each pair's order, nats, given its margin in units of s.

    Example:
        >>> losses(np.array([0.0, 1000.0, -1000.0]))
        array([6.93147181e-01, 0.00000000e+00, 1.00000000e+03])
    """
    return np.logaddexp(0.0, -margins)


def objective(
    theta: Float[np.ndarray, " feature"], problem: Problem, penalty: float
) -> tuple[float, Float[np.ndarray, " feature"]]:
    """What is minimised, equation (2), and its gradient.

    Args:
        theta: the factors.
        problem: of as many features.
        penalty: lambda, finite.
    """
    shares = problem.weights / problem.weights.sum()
    margins = problem.features @ theta
    apart = theta - theta.mean()
    value = shares @ losses(margins) + penalty * (apart**2).mean()  # (2)
    wrong = np.exp(-np.logaddexp(0.0, margins))  # the probability of the other order
    gradient = -(shares * wrong) @ problem.features + 2 * penalty * apart / len(theta)
    return float(value), gradient


def _minimum(
    problem: Problem, penalty: float, start: Float[np.ndarray, " feature"]
) -> Float[np.ndarray, " feature"]:
    limits = [(0.0, LARGEST_FACTOR)] * len(start)
    constraints = [LinearConstraint(problem.balance, 0.0, 0.0)] if len(problem.balance) else []
    found = minimize(
        objective,
        start,
        args=(problem, penalty),
        jac=True,
        method="SLSQP",
        bounds=limits,
        constraints=constraints,
        options={"maxiter": 300, "ftol": 1e-9},
    )
    theta = np.clip(np.asarray(found.x, dtype=np.float64), 0.0, LARGEST_FACTOR)
    theta = np.where(theta < SMALLEST_FACTOR, 0.0, theta)
    # It may stop in a worse place where rounding hides the way down.
    better = objective(theta, problem, penalty)[0] <= objective(start, problem, penalty)[0]
    return theta if better else start


def _together(problem: Problem) -> Problem:
    """The problem of one factor for all features."""
    whole = problem.features.sum(axis=1, keepdims=True)
    return Problem(whole, problem.weights, problem.balance[:0, :1])


def fit(
    problem: Problem, penalties: Sequence[float]
) -> Iterator[tuple[float, Float[np.ndarray, " feature"]]]:
    """The factors for each penalty, the largest first, each found from the one before.

    Args:
        problem: with at least one pair.
        penalties: values of lambda, infinity among them or not.

    Yields:
        The penalty, and its factors.
    """
    count = problem.features.shape[1]
    (one,) = _minimum(_together(problem), 0.0, np.ones(1))
    theta = np.full(count, one)
    for penalty in sorted(penalties, reverse=True):
        if not isinf(penalty):
            theta = _minimum(problem, penalty, theta)
        yield penalty, theta
