"""Follow-up likelihood as verl's custom reward function.

    reward.custom_reward_function.path=pkg://flr.integrations.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.set=short          (any field of `RewardOptions`)

verl gives the response decoded without special tokens, and of the prompt nothing but what lies in
`extra_info`: messages (or a text) under one of `PROMPT_KEYS`. Its agent loop puts `raw_prompt`
there, that of its default trainer does not: data need `extra_info["prompt"]` then. Options come
from `reward_kwargs`, and where they say nothing from the environment.

verl asks for one response a call, many calls at a time in threads: those that wait are scored
together. Its reward workers are processes, each with a model of its own. Tool loops, whose turns
verl decodes into one text, cannot be told apart again and are not scored.

Source: verl 0.9.1, in verl/: trainer/ppo/reward.py (`get_custom_reward_fn`), naive.py and remote.py
of experimental/reward_loop/reward_manager (`run_single`), `_agent_loop_postprocess` of
experimental/agent_loop/agent_loop.py and, for the default trainer, trainer/ppo/v1/agent_loop_tq.py.
The batch form is that of workers/reward_manager/batch.py, which that release no longer calls.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from flr.errors import OptionError
from flr.integrations.settings import of_environment
from flr.integrations.shared import Asked, Rewarder, rewarder
from flr.measuring import Skipped

PROMPT_KEYS = ("raw_prompt", "messages", "prompt")
"""Keys of `extra_info` under which a prompt is looked for, in this order."""

_NOT_OPTIONS = ("reward_router_address", "reward_model_tokenizer")
"""What verl passes beside `reward_kwargs` where it serves a reward model of its own."""


def compute_score(
    data_source: Any,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, float]:
    """The reward of one response.

    Args:
        data_source: not looked at.
        solution_str: the response's text.
        ground_truth: not looked at.
        extra_info: holds the prompt.
        options: from `reward_kwargs`.

    Returns:
        `score`; `flr_skipped`, 1 where the follow-up model cannot take the response, which then has
        the lowest score of the run; and `flr_CATEGORY` for each category.

    Raises:
        OptionError: no prompt in `extra_info`, or a wrong option.
    """
    (only,) = compute_score_batch(
        [data_source], [solution_str], [ground_truth], [extra_info], **options
    )
    return only


def compute_score_batch(
    data_sources: Iterable[Any],
    solution_strs: Iterable[str],
    ground_truths: Iterable[Any],
    extra_infos: Iterable[Mapping[str, Any] | None],
    **options: Any,
) -> list[dict[str, float]]:
    """The same of many responses, in order.

    Args:
        data_sources: not looked at.
        solution_strs: the responses' texts.
        ground_truths: not looked at.
        extra_infos: hold the prompts.
        options: from `reward_kwargs`.

    Raises:
        OptionError: no prompt in one of `extra_infos`, or a wrong option.
    """
    del data_sources, ground_truths
    given = {name: one for name, one in options.items() if name not in _NOT_OPTIONS}
    asker = rewarder(of_environment(**given))
    both = zip(solution_strs, extra_infos, strict=True)
    rewards = asker.rewards([_asked(asker, text, info or {}) for text, info in both])
    return [
        {
            "score": one.value,
            "flr_skipped": float(bool(one.reason)),
            **{f"flr_{category}": number for category, number in one.by_category.items()},
        }
        for one in rewards
    ]


def _asked(asker: Rewarder, text: str, extra_info: Mapping[str, Any]) -> Asked | Skipped:
    found = [extra_info[key] for key in PROMPT_KEYS if extra_info.get(key) is not None]
    if not found:
        there = ", ".join(sorted(map(str, extra_info))) or "nothing"
        raise OptionError(
            f"verl gave no prompt: extra_info holds {there}; one of {', '.join(PROMPT_KEYS)} was "
            "expected. Add it where the data are made, for example "
            'row["extra_info"] = {**row["extra_info"], "prompt": row["prompt"]}'
        )
    turns = extra_info.get("num_turns")
    if turns is not None and turns > 2:
        return Skipped(f"verl decoded {turns} turns of a tool loop into one text")
    return asker.asked(found[0], text)
