"""What a comparison leaves to read: the rows of items.jsonl, and some responses side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from flr.comparison.asking import Place, Said
from flr.comparison.figures import Policy
from flr.comparison.rewards import Prompts, Rewards
from flr.verifiable import VerifiablePrompt

EXAMPLES = 20
"""Prompts whose responses are shown side by side."""


def _messages(prompts: Prompts, number: int) -> list[dict[str, Any]]:
    return [message.as_dict() for message in prompts[number]]


def _all_rewards(policies: Mapping[str, Policy]) -> dict[str, Rewards]:
    return {name: one.rewards | one.judged for name, one in policies.items()}


def _reason(said: Said) -> str:
    return "stop" if said.finished else "length"


def rows(prompts: Prompts, policies: Mapping[str, Policy]) -> Iterator[dict[str, Any]]:
    """The rows of items.jsonl: a prompt with what every policy said, and its rewards.

    A response without a reward has null there; a policy that was not asked is not named.

    Args:
        prompts: all of them.
        policies: by name.
    """
    rewards = _all_rewards(policies)
    for number in prompts:
        places = {
            name: [place for place in sorted(one.said) if place[0] == number]
            for name, one in policies.items()
        }
        places = {name: own for name, own in places.items() if own}
        yield _row(number, prompts, policies, rewards, places)


def _row(
    number: int,
    prompts: Prompts,
    policies: Mapping[str, Policy],
    rewards: Mapping[str, Rewards],
    places: Mapping[str, Sequence[Place]],
) -> dict[str, Any]:
    spoken = {n: [policies[n].said[place] for place in own] for n, own in places.items()}

    def valued(values: Mapping[str, Mapping[Place, float]]) -> dict[str, list[float | None]]:
        return {n: [of.get(place) for place in places[n]] for n, of in values.items()}

    names = list(dict.fromkeys(r for name in places for r in rewards[name].values))
    moved = {name: policies[name].divergence for name in places}
    return {
        "number": number,
        "prompt": _messages(prompts, number),
        "responses": {name: [said.text for said in own] for name, own in spoken.items()},
        "finish_reasons": {name: [_reason(said) for said in own] for name, own in spoken.items()},
        "tokens": {name: [said.tokens for said in own] for name, own in spoken.items()},
        "rewards": {
            reward: valued(
                {n: rewards[n].values[reward] for n in places if reward in rewards[n].values}
            )
            for reward in names
        },
        "by_category": {
            reward: {
                part: valued({n: rewards[n].categories[reward][part] for n in places})
                for part in rewards[next(iter(places))].categories[reward]
            }
            for reward in names
            if reward in rewards[next(iter(places), "")].categories
        },
        "divergence": valued({name: of for name, of in moved.items() if of is not None}),
    }


def verifiable_rows(
    prompts: Sequence[VerifiablePrompt],
    said: Mapping[str, Mapping[Place, Said]],
    policies: Mapping[str, Policy],
) -> Iterator[dict[str, Any]]:
    """The rows of verifiable.jsonl: a prompt with what every policy said, and whether it passes.

    A policy that was not asked has null there, and does not pass.

    Args:
        prompts: in the order of `Policy.passes`.
        said: the responses of each policy to them, rows numbered from 1.
        policies: by name.
    """
    for at, prompt in enumerate(prompts):
        given = {name: of.get((at + 1, 0)) for name, of in said.items()}
        yield {
            "id": prompt.id,
            "kind": prompt.kind,
            "prompt": prompt.prompt,
            "responses": {name: one and one.text for name, one in given.items()},
            "finish_reasons": {name: one and _reason(one) for name, one in given.items()},
            "passes": {name: (one.passes or ())[at] for name, one in policies.items()},
        }


def examples(prompts: Prompts, policies: Mapping[str, Policy], seed: int) -> list[dict[str, Any]]:
    """Some prompts with the first response of every policy: a draw, whoever wins there.

    Drawn from the prompts to which every policy's first response has all its rewards.

    Args:
        prompts: all of them.
        policies: by name.
        seed: of the draw.

    Returns:
        At most `EXAMPLES`, in the order of the prompts.
    """
    rewards = _all_rewards(policies)
    usable = set.intersection(*(of.places for of in rewards.values()))
    numbers = sorted(number for number, at in usable if at == 0)
    drawn = np.random.default_rng(seed).permutation(len(numbers))[:EXAMPLES]
    names = list(dict.fromkeys(reward for of in rewards.values() for reward in of.values))
    return [
        {
            "number": number,
            "prompt": _messages(prompts, number),
            "responses": {name: one.said[number, 0].text for name, one in policies.items()},
            "finished": {name: one.said[number, 0].finished for name, one in policies.items()},
            "rewards": {
                reward: {
                    name: of.values[reward][number, 0]
                    for name, of in rewards.items()
                    if reward in of.values
                }
                for reward in names
            },
        }
        for number in (numbers[at] for at in sorted(drawn.tolist()))
    ]
