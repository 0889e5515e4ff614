r"""Follow-up likelihood as OpenRLHF's reward function.

OpenRLHF loads it from a file, so it is given this one:

    FILE=$(python -c "import flr.integrations.openrlhf as m; print(m.__file__)")
    FLR_POLICY=M python -m openrlhf.cli.train_ppo_ray --actor.model_name_or_path M \
        --reward.remote_url $FILE --data.apply_chat_template ...

It gives prompts as text of the policy's template, queries as prompt and response decoded with
special tokens, one of each a call, many calls at a time in threads: those that wait are scored
together. `FLR_POLICY` names the policy, whose tokenizer and template read the text back into
messages (`flr.integrations.rendered` says how). A query that does not begin with its prompt, as
where OpenRLHF has cut the prompt, is not scored.

OpenRLHF catches what a reward function raises, logs it as information and goes on without a reward,
until something else fails for want of one. So every error is said by a warning first.

Source: OpenRLHF 0.11.2, openrlhf/utils/agent.py (`SingleTurnAgentExecutor`),
openrlhf/trainer/ppo_utils/samples_generator.py (`_process_response_into_experience`).
"""

import warnings
from collections.abc import Sequence
from math import tanh
from typing import Any

import torch

from flr.errors import OptionError
from flr.integrations.settings import of_environment
from flr.integrations.shared import Asked, Reward, Rewarder, rewarder
from flr.measuring import Skipped


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **given: Any
) -> dict[str, Any]:
    """The rewards of responses, in order.

    Args:
        queries: prompt and response, decoded with special tokens.
        prompts: as the policy's template wrote them.
        labels: not looked at.
        given: not looked at.

    Returns:
        `rewards`; `scores`, the same between 0 and 1 (logistic), for dynamic filtering; and
        `extra_logs`: `flr_skipped`, 1 where the follow-up model cannot take the response, which
        then has the lowest reward of the run, and `flr_CATEGORY`. Each a tensor, [queries].

    Raises:
        OptionError: the environment names no policy, or something wrong.
    """
    del labels, given
    try:
        rewards = _rewards(queries, prompts)
    except Exception as error:
        warnings.warn(f"flr: no reward, {type(error).__name__}: {error}", stacklevel=2)
        raise
    found = answer(rewards)
    logs = {name: torch.tensor(column) for name, column in found["extra_logs"].items()}
    return {
        "rewards": torch.tensor(found["rewards"]),
        "scores": torch.tensor(found["scores"]),
        "extra_logs": logs,
    }


def answer(rewards: Sequence[Reward]) -> dict[str, Any]:
    """What OpenRLHF takes of rewards, as lists; see `reward_func`."""
    logs = {"flr_skipped": [float(bool(one.reason)) for one in rewards]}
    for category in rewards[0].by_category if rewards else ():
        logs[f"flr_{category}"] = [one.by_category[category] for one in rewards]
    values = [one.value for one in rewards]
    return {
        "rewards": values,
        "scores": [0.5 + 0.5 * tanh(value / 2) for value in values],  # logistic, never overflows
        "extra_logs": logs,
    }


def _rewards(queries: Sequence[str], prompts: Sequence[str]) -> list[Reward]:
    options = of_environment()
    if options.policy is None:
        raise OptionError(
            "OpenRLHF gives text of the policy's chat template; FLR_POLICY, the model that is "
            "trained (as --actor.model_name_or_path), was expected in the environment"
        )
    asker = rewarder(options)
    both = zip(queries, prompts, strict=True)
    return asker.rewards([asked_of(asker, query, prompt) for query, prompt in both])


def asked_of(asker: Rewarder, query: str, prompt: str) -> Asked | Skipped:
    """What a query asks about, given the prompt that it begins with."""
    policy = asker.policy
    assert policy is not None
    for begin in (prompt, policy.decoded(prompt)):
        if query.startswith(begin):
            return asker.asked(prompt, query[len(begin) :])
    return Skipped(
        "the query does not begin with its prompt, as where OpenRLHF has cut the prompt; a larger "
        "--data.max_len is expected"
    )
