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


def _drawn(count: int, generator: np.random.Generator) -> Float[np.ndarray, "resample count"]:
    """How often each of `count` things was drawn."""
    return generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def mean(values: Values, weights: Values | None = None, seed: int = 0) -> dict[str, Any]:
    """The mean of values, some of which may have no weight, and its interval.

    Args:
        values: any unit.
        weights: 1 for a value that counts, 0 for one that does not; None where all count.
        seed: of the resamples.

    Returns:
        `value`, `interval`, `count` (of the values that count), `by_seed`; None for no answer.
    """
    weights = np.ones_like(values, dtype=np.float64) if weights is None else weights
    generator = np.random.default_rng(seed)
    seeds, prompts = (_drawn(count, generator) for count in values.shape)
    above = np.einsum("rs,sp,rp->r", seeds, values * weights, prompts, optimize=True)
    below = np.einsum("rs,sp,rp->r", seeds, weights, prompts, optimize=True)
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


def length_slope(rewards: Mapping[str, Values], lengths: Mapping[str, Values]) -> float:
    """Effect of length on reward, unit of the reward a character: one slope within prompts.

    Args:
        rewards: by arm.
        lengths: of the same responses, characters.
    """
    y = np.concatenate([rewards[name] for name in rewards])
    x = np.concatenate([lengths[name] for name in rewards])
    y, x = y - y.mean(axis=0), x - x.mean(axis=0)
    return float((x * y).sum() / (x * x).sum()) if x.any() else 0.0


def against(
    arm: str, other: str, rewards: Mapping[str, Values], lengths: Mapping[str, Values]
) -> dict[str, Any]:
    """An arm beside another by one reward, as it is and at equal length.

    Args:
        arm: its name.
        other: name of the other; an arm of one row is the same for all seeds.
        rewards: of all arms, from which the effect of length is taken.
        lengths: of the same responses, characters.
    """
    slope = length_slope(rewards, lengths)
    one, two = np.broadcast_arrays(rewards[arm], rewards[other])
    long, longer = np.broadcast_arrays(lengths[arm], lengths[other])
    won, similar = points(one, two), are_similar(long, longer)
    return {
        "difference": mean(one - two),
        "difference_at_equal_length": mean(one - two - slope * (long - longer)),
        "length_slope": slope,
        "won": mean(won),
        "won_at_similar_length": mean(won, similar),
        "longer": mean(points(long, longer)),
        "characters_difference": mean(long - longer),
    }
