"""From the log-likelihoods of follow-ups to a reward: pure functions of arrays.

For one conversation c (a prompt and a response) and the follow-ups f of a set, with T_f tokens:

    l(f | c)    = 1/T_f * sum_t log p(f_t | c, f_<t)                                 (1)
    reward_k(c) = mean_{f in k, positive} l(f | c) - mean_{f in k, negative} l(f | c)  (2)
    reward(c)   = sum_k w_k reward_k(c) / sum_k w_k                                  (3)

The means in (2) are weighted where follow-ups have weights. All in all a reward is linear in l:

    reward(c)   = sum_f c_f l(f | c),  c_f = polarity of f * f's part in (2) * k's part in (3)  (4)

Where the log-likelihoods come from is the engine's, how a conversation becomes tokens is `chat`'s.
The published code's quantity, `official`, is not a function of log-likelihoods: the engine gives
its values (the mean raw logit of a follow-up's tokens), and they go straight into (2).

Source: "Aligning Language Models Using Follow-up Likelihood as Reward Signal", arXiv:2409.13948.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite

import numpy as np
from jaxtyping import Float, Int

from flr.errors import FlrError, FollowUpError, OptionError, did_you_mean
from flr.types import FollowUp, FollowUpSet


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to value a follow-up.

    Args:
        name: what `--reward` takes.
        unit: the unit of its values, and so of the rewards made of them.
        description: one line for help texts.
    """

    name: str
    unit: str
    description: str


VARIANTS = (
    Variant("mean", "nats/token", "mean log-likelihood of the follow-up's tokens"),
    Variant("sum", "nats", "log-likelihood of the whole follow-up, not length-normalised"),
    Variant("pmi", "nats/token", "mean, less the same follow-up's mean after an empty response"),
    Variant("official", "logits", "the published code's mean raw logit, for comparison with it"),
)
"""Every variant that a reward can be made of; the first is the default."""


def _check_finite(values: Float[np.ndarray, " followup"], names: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise FlrError(
            f"follow-up {names[bad[0]]} has the log-likelihood {values[bad[0]]}; a finite number "
            "was expected. In half precision a model can overflow: try --dtype fp32."
        )


def _token_means(
    sums: Float[np.ndarray, " followup"], tokens: Int[np.ndarray, " followup"]
) -> Float[np.ndarray, " followup"]:
    empty = np.flatnonzero(tokens <= 0)
    if empty.size:
        raise FollowUpError(
            f"follow-up {empty[0] + 1} of {len(tokens)} has no token; at least one was expected. "
            "Remove it from the set."
        )
    return sums / tokens  # (1)


def per_followup(
    sums: Float[np.ndarray, " followup"],
    tokens: Int[np.ndarray, " followup"],
    variant: str,
    baseline_sums: Float[np.ndarray, " followup"] | None = None,
    baseline_tokens: Int[np.ndarray, " followup"] | None = None,
) -> Float[np.ndarray, " followup"]:
    """The value of each follow-up after one response.

    Args:
        sums: log-likelihood of each whole follow-up, nats.
        tokens: how many tokens each has.
        variant: `mean`, `sum` or `pmi`.
        baseline_sums: for `pmi`, the same after the prompt with an empty response, nats.
        baseline_tokens: for `pmi`, the token counts there.

    Returns:
        One value a follow-up, in the unit of the variant.

    Raises:
        OptionError: another variant.
        FollowUpError: a follow-up without a token.
        FlrError: a log-likelihood that is not finite.

    Example:
        >>> per_followup(np.array([-6.0, -4.0]), np.array([3, 1]), "mean")
        array([-2., -4.])
    """
    assert sums.shape == tokens.shape, "one token count a follow-up"
    sums = sums.astype(np.float64)
    _check_finite(sums, [f"{number} of {len(sums)}" for number in range(1, len(sums) + 1)])
    match variant:
        case "mean":
            return _token_means(sums, tokens)
        case "sum":
            return sums
        case "pmi":
            assert baseline_sums is not None, "pmi needs a baseline"
            assert baseline_tokens is not None, "pmi needs a baseline"
            baseline = per_followup(baseline_sums, baseline_tokens, "mean")
            return _token_means(sums, tokens) - baseline
    computed = [known.name for known in VARIANTS if known.name != "official"]
    raise OptionError(
        f"reward variant {variant!r} cannot be computed from log-likelihoods; expected one of "
        f"{', '.join(computed)}.{did_you_mean(variant, computed)}"
    )


def side_weights(followups: Sequence[FollowUp]) -> list[tuple[float, float]]:
    """What weighs each follow-up in the mean of its category and polarity.

    Args:
        followups: all of a set.

    Returns:
        Weight of each, relative to the largest on its side, and the sum over its side. Equal
        weights are 1 to the bit, and no sum overflows.

    Example:
        >>> yes, no = FollowUp("Yes.", "fit", 1, weight=4.0), FollowUp("No.", "fit", -1)
        >>> side_weights([yes, FollowUp("Right.", "fit", 1), no])
        [(1.0, 1.25), (0.25, 1.25), (1.0, 1.0)]
    """
    sides = defaultdict[tuple[str, int], list[float]](list)
    for one in followups:
        sides[one.category, one.polarity].append(one.weight)
    largest = {side: max(weights) for side, weights in sides.items()}
    totals = {
        side: fsum(weight / largest[side] for weight in weights) for side, weights in sides.items()
    }
    keys = ((one, (one.category, one.polarity)) for one in followups)
    return [(one.weight / largest[side], totals[side]) for one, side in keys]


def side_means(
    values: Sequence[float], followups: Sequence[FollowUp]
) -> dict[tuple[str, int], float]:
    """The weighted mean of the values of each category and polarity.

    Sums are exact, so the order of the follow-ups changes no bit.

    Args:
        values: one a follow-up.
        followups: all of a set.

    Example:
        >>> side_means([-1.0, -2.0], [FollowUp("Yes.", "fit", 1), FollowUp("No.", "fit", -1)])
        {('fit', 1): -1.0, ('fit', -1): -2.0}
    """
    sides, totals = defaultdict[tuple[str, int], list[float]](list), dict[tuple[str, int], float]()
    weights = side_weights(followups)
    for one, value, (weight, total) in zip(followups, values, weights, strict=True):
        sides[one.category, one.polarity].append(weight * value)
        totals[one.category, one.polarity] = total
    return {side: fsum(parts) / totals[side] for side, parts in sides.items()}


def by_category(
    values: Float[np.ndarray, " followup"], followup_set: FollowUpSet
) -> dict[str, float]:
    """The reward of one response in each category, equation (2).

    Sums are exact, so the order of the follow-ups changes no bit.

    Args:
        values: one value a follow-up in the set's order, from `per_followup` or the engine.
        followup_set: what was scored.

    Returns:
        Categories in the set's order, in the unit of the values.

    Raises:
        FlrError: a value that is not finite.
    """
    _check_finite(values, [repr(followup.text) for followup in followup_set.followups])
    means = side_means(values.tolist(), followup_set.followups)
    return {
        category: means[category, 1] - means[category, -1]  # (2)
        for category in followup_set.categories
    }


def _check_weights(categories: Sequence[str], weights: Mapping[str, float]) -> None:
    for name in weights:
        if name not in categories:
            raise OptionError(
                f"weight of the unknown category {name!r}; the set has "
                f"{', '.join(categories)}.{did_you_mean(name, categories)}"
            )
    for category in categories:
        if category not in weights:
            raise OptionError(
                f"category {category!r} has no weight; give it one, 0 to leave it out"
            )
        if not (isfinite(weights[category]) and weights[category] >= 0):
            raise OptionError(
                f"category {category!r} has the weight {weights[category]}; "
                "a finite number of 0 or more was expected"
            )
    if not any(weights.values()):
        raise OptionError("every category has the weight 0; give at least one a weight above 0")


def category_shares(categories: Sequence[str], weights: Mapping[str, float]) -> dict[str, float]:
    """The part that each category has in the reward; the parts sum to 1.

    Args:
        categories: the set's categories.
        weights: weight of each, relative to the others; 0 leaves a category out.

    Raises:
        OptionError: a weight that is missing, unknown, negative or not finite, or all of them 0.

    Example:
        >>> category_shares(["relevance", "correctness"], {"relevance": 1.0, "correctness": 3.0})
        {'relevance': 0.25, 'correctness': 0.75}
    """
    _check_weights(categories, weights)
    # Largest first to 1: equal weights give equal shares to the bit, and no sum overflows.
    largest = max(weights.values())
    scaled = {category: weights[category] / largest for category in categories}
    total = fsum(scaled.values())
    return {category: weight / total for category, weight in scaled.items()}


def reward(by_category: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The reward of one response, equation (3): the weighted mean over its categories.

    Args:
        by_category: from the function of that name.
        weights: weight of each category, relative to the others; 0 leaves a category out.

    Returns:
        The reward, in the unit of the values.

    Raises:
        OptionError: weights that `category_shares` does not take.

    Example:
        >>> reward({"relevance": 0.5, "correctness": -0.1}, {"relevance": 1.0, "correctness": 1.0})
        0.2
    """
    shares = category_shares(tuple(by_category), weights)
    return fsum(share * by_category[category] for category, share in shares.items())  # (3)


def coefficients(
    followup_set: FollowUpSet, weights: Mapping[str, float]
) -> Float[np.ndarray, " followup"]:
    """What each follow-up's value is multiplied by in the reward, equation (4).

    Args:
        followup_set: with both polarities in every category.
        weights: weight of each category, relative to the others; 0 leaves a category out.

    Returns:
        One a follow-up; those of a polarity sum to 1 in size.

    Raises:
        OptionError: weights that `category_shares` does not take.

    Example:
        >>> texts = FollowUp("Yes", "fit", 1), FollowUp("Ok", "fit", 1), FollowUp("No", "fit", -1)
        >>> fit = FollowUpSet("mine", "en", "", "", texts, {"fit": 1.0})
        >>> coefficients(fit, fit.weights)
        array([ 0.5,  0.5, -1. ])
    """
    shares = category_shares(followup_set.categories, weights)
    own = side_weights(followup_set.followups)
    parts = [
        shares[one.category] * one.polarity * weight / total  # (4)
        for one, (weight, total) in zip(followup_set.followups, own, strict=True)
    ]
    return np.array(parts, dtype=np.float64)
