"""Samples and measures every policy of a comparison, each in files and blocks of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flr.comparison.asking import Place, Said
from flr.comparison.figures import Policy
from flr.comparison.prepared import Comparison
from flr.comparison.rewards import Rewards, pair_plan, plan_of, rewards_of
from flr.evaluation import columns
from flr.evaluation.columns import Plan, Spent
from flr.filling import ProgressOf
from flr.runs import Store
from flr.turns import without_thoughts
from flr.types import Message
from flr.verifiable import VerifiablePrompt

AllSaid = Mapping[str, Mapping[Place, Said]]
"""The responses of each policy."""


def sample(found: Comparison, progress_of: ProgressOf) -> int:
    """Draws the responses that are not there yet; returns how many blocks those were."""
    computed = 0
    for kind, askings in (("prompts", found.askings), ("verifiable prompts", found.verifying)):
        for name, asking in askings.items():
            computed += asking.sample(progress_of(f"{kind} to {name}"))
    return computed


def passes(
    prompts: Sequence[VerifiablePrompt], said: Mapping[Place, Said], opened_thought: str = ""
) -> tuple[bool, ...]:
    """Whether the response to each verifiable prompt passes; one that was not asked does not.

    What a policy thinks before it answers is no part of the answer.

    Args:
        prompts: in the order of their rows, from 1.
        said: the responses.
        opened_thought: the tag that the policy's template ends a prompt with, where it does.
    """
    texts = {
        number: without_thoughts(Message("assistant", opened_thought + one.text)).content
        for (number, _), one in said.items()
    }
    return tuple(
        number in texts and prompt.passes(texts[number]) for number, prompt in enumerate(prompts, 1)
    )


def cut(prompts: Sequence[VerifiablePrompt], said: Mapping[Place, Said]) -> tuple[bool, ...]:
    """Whether the response to each verifiable prompt is unfinished."""
    unfinished = {number for (number, _), one in said.items() if not one.finished}
    return tuple(number in unfinished for number, _ in enumerate(prompts, 1))


def _plans(found: Comparison, said: AllSaid) -> tuple[dict[str, Plan], dict[str, Plan | None]]:
    """What is to be measured of each policy, alone and beside the reference.

    The noise floor is measured on the reference's responses, for all.
    """
    prompts, arms, first = found.prompts, found.arms, found.reference
    alone = {
        name: plan_of(name, prompts, own, arms, found.seed if name == first else None)
        for name, own in said.items()
    }
    beside = {
        name: pair_plan(f"{name} beside {first}", prompts, (said[first], own), arms)
        for name, own in said.items()
        if name != first
    }
    return alone, beside


def measure(
    found: Comparison,
    said: AllSaid,
    checked: AllSaid,
    path: Path,
    spent: Mapping[str, Spent],
    progress_of: ProgressOf,
) -> tuple[dict[str, Policy], int]:
    """Measures all responses.

    Args:
        found: what is compared.
        said: the responses.
        checked: those to the verifiable prompts.
        path: of the store.
        spent: what each pass did is added to it.
        progress_of: see `ProgressOf`.

    Returns:
        What is known of each policy, and how many blocks were measured now.

    Raises:
        UserError: no response of a policy has a reward.
    """
    alone, beside = _plans(found, said)
    plans = [*alone.values(), *filter(None, beside.values())]
    policies: dict[str, Policy] = {}
    with Store(path) as store:
        computed = columns.fill(store, plans, found.arms, progress_of("conversations"))
        for name, plan in alone.items():
            moved, more = _divergence(store, found, name, said[name], progress_of)
            computed += more
            (rewards,) = rewards_of(store, plan, found.arms, spent)
            pair = beside.get(name)
            both = rewards_of(store, pair, found.arms, spent) if pair else (Rewards(), Rewards())
            policies[name] = Policy(
                said=said[name],
                rewards=rewards,
                against=both[0],
                judged=both[1],
                divergence=moved,
                passes=_passes(found, name, checked[name]) if name in checked else None,
                cut=cut(found.checked, checked[name]) if name in checked else (),
            )
    return policies, computed


def _passes(found: Comparison, name: str, said: Mapping[Place, Said]) -> tuple[bool, ...]:
    return passes(found.checked, said, found.verifying[name].parts.prompter.opened_thought)


def _divergence(
    store: Store,
    found: Comparison,
    name: str,
    said: Mapping[Place, Said],
    progress_of: ProgressOf,
) -> tuple[dict[Place, float] | None, int]:
    """The divergence of each response, and how many blocks were measured now."""
    one = found.moving.get(name)
    if one is None:
        return None, 0
    blocks = one.blocks(found.prompts, said)
    computed = one.fill(store, blocks, progress_of(f"divergence of {name}"))
    return one.found(store, blocks, said), computed
