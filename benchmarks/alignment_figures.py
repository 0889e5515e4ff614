"""Figures of arms that were trained with several seeds and judged on the same prompts.

An array of an arm has a row a training seed and a column a prompt. Intervals are 95 %, by a
bootstrap that draws seeds and prompts with replacement, independently: both were drawn, and both
would be others another time. With three seeds it is a coarse one.

Source:
    Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

RESAMPLES = 10_000
LENGTH_TOLERANCE = 0.25
"""Most that lengths called similar differ by, of the longer one."""

Values = Float[np.ndarray, "seed prompt"]


Draws = tuple[Float[np.ndarray, "resample seed"], Float[np.ndarray, "resample prompt"]]
"""How often each seed and each prompt was drawn."""


def _draws(seeds: int, prompts: int, seed: int = 0) -> Draws:
    """The same for all figures of so many seeds and prompts."""
    generator = np.random.default_rng(seed)

    def drawn(count: int) -> Float[np.ndarray, "resample count"]:
        return generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)

    return drawn(seeds), drawn(prompts)


def _once(values: Values) -> Draws:
    """Every seed and every prompt once: what was seen."""
    seeds, prompts = values.shape
    return np.ones((1, seeds)), np.ones((1, prompts))


def _sum(draws: Draws, values: Values) -> Float[np.ndarray, " resample"]:
    return np.einsum("rs,sp,rp->r", draws[0], values, draws[1], optimize=True)


def mean(values: Values, weights: Values | None = None) -> dict[str, Any]:
    """The mean of values, some of which may have no weight, and its interval.

    Args:
        values: any unit.
        weights: 1 for a value that counts, 0 for one that does not; None where all count.

    Returns:
        `value`, `interval`, `count` (of the values that count), `by_seed`; None for no answer.
    """
    weights = np.ones_like(values, dtype=np.float64) if weights is None else weights
    draws = _draws(*values.shape)
    above, below = _sum(draws, values * weights), _sum(draws, weights)
    answered = below > 0
    ends = np.quantile(above[answered] / below[answered], [0.025, 0.975]) if any(answered) else []
    total = weights.sum()
    return {
        "value": float((values * weights).sum() / total) if total else None,
        "interval": [float(end) for end in ends],
        "count": int(total),
        "by_seed": [
            float((own * weight).sum() / weight.sum()) if weight.sum() else None
            for own, weight in zip(values, weights, strict=True)
        ],
    }


def points(one: Values, other: Values) -> Values:
    """1 where the first is greater, half where they are equal."""
    return np.where(one == other, 0.5, one > other).astype(np.float64)


def are_similar(one: Values, other: Values) -> Values:
    """1 where two lengths differ by at most a quarter of the longer one."""
    return (np.abs(one - other) <= LENGTH_TOLERANCE * np.maximum(one, other)).astype(np.float64)


def _slopes(
    rewards: Mapping[str, Values], lengths: Mapping[str, Values], draws: Draws
) -> Float[np.ndarray, " resample"]:
    """Effect of length on reward in each resample; 0 where lengths do not differ.

    The arms' responses to one prompt of one seed are held against each other, after each arm's own
    mean is taken out of both: an arm that is better and longer by as much everywhere says nothing
    about what length does.
    """
    names = list(rewards)
    y, x = (np.stack([of[name] for name in names]) for of in (rewards, lengths))
    y, x = y - y.mean(axis=0), x - x.mean(axis=0)
    count = _sum(draws, np.ones_like(x[0]))
    products, squares = np.zeros(len(count)), np.zeros(len(count))
    for one, other in zip(x, y, strict=True):
        mean_x, mean_y = _sum(draws, one) / count, _sum(draws, other) / count
        products += _sum(draws, one * other) - count * mean_x * mean_y
        squares += _sum(draws, one * one) - count * mean_x * mean_x
    flat = squares < 1e-9
    return np.where(flat, 0.0, products / np.where(flat, 1.0, squares))


def at_equal_length(
    arm: str, other: str, rewards: Mapping[str, Values], lengths: Mapping[str, Values]
) -> dict[str, Any]:
    """The difference of two arms' rewards less what their lengths explain, and its interval.

    The effect of length is estimated anew in each resample.

    Args:
        arm: its name.
        other: of the arm that it is held against.
        rewards: of all arms, of equal shape.
        lengths: of the same responses, characters.

    Returns:
        `value`, `interval`, and `slope`: unit of the reward a character.
    """
    by, longer = rewards[arm] - rewards[other], lengths[arm] - lengths[other]

    def less_length(draws: Draws) -> Float[np.ndarray, " resample"]:
        count = _sum(draws, np.ones_like(by))
        return (_sum(draws, by) - _slopes(rewards, lengths, draws) * _sum(draws, longer)) / count

    seen = _once(by)
    ends = np.quantile(less_length(_draws(*by.shape)), [0.025, 0.975])
    return {
        "value": float(less_length(seen)[0]),
        "interval": [float(end) for end in ends],
        "slope": float(_slopes(rewards, lengths, seen)[0]),
    }


def against(
    arm: str, other: str, rewards: Mapping[str, Values], lengths: Mapping[str, Values]
) -> dict[str, Any]:
    """An arm beside another by one reward, as it is and at equal length.

    Args:
        arm: its name.
        other: of the arm that it is held against.
        rewards: of all arms, of equal shape.
        lengths: of the same responses, characters.
    """
    one, two, long, longer = rewards[arm], rewards[other], lengths[arm], lengths[other]
    won, similar = points(one, two), are_similar(long, longer)
    return {
        "difference": mean(one - two),
        "difference_at_equal_length": at_equal_length(arm, other, rewards, lengths),
        "won": mean(won),
        "won_at_similar_length": mean(won, similar),
        "longer": mean(points(long, longer)),
        "characters_difference": mean(long - longer),
    }
