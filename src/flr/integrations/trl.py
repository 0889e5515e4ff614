"""Follow-up likelihood as a reward function of TRL's GRPO, RLOO and Online DPO trainers.

    GRPOTrainer(..., reward_funcs=[FLRReward(model="smollm2", set="short")])
    trl grpo ... --reward_funcs flr.integrations.trl.flr_reward     (FLR_MODEL=..., FLR_SET=...)

TRL gives prompts as the dataset has them, completions decoded without special tokens, and takes one
number each; None where there is none. What has no reward here is a response that the follow-up
model cannot take. Online DPO takes None for the number 0, which may well be the best one: callers
that do not give `log_metric`, as it does not, get the lowest reward of the run instead.

Source: TRL 1.16.0, trl/trainer/grpo_trainer.py and rloo_trainer.py (`_calculate_rewards`),
trl/experimental/online_dpo/online_dpo_trainer.py (`_calculate_rewards_from_functions`),
trl/scripts/grpo.py (`--reward_funcs`).
"""

from collections.abc import Callable, Sequence
from typing import Any, final

from flr.integrations.settings import of_environment, of_python
from flr.integrations.shared import Reward, Rewarder, rewarder

LogMetric = Callable[[str, float], None]

_NAME = "flr_reward"


@final
class FLRReward:
    """A reward function with options of its own; the model is loaded when it is first called.

    Its `__name__` names TRL's metrics (`rewards/flr_reward/mean`); set another where there are
    several, and `flr/skipped` and `flr/CATEGORY` begin with it as well. It holds options alone, so
    it can be pickled; those with equal options share one model.

    Args:
        options: the fields of `RewardOptions`: `model`, `set`, `policy`, `strip_thinking`, ...

    Raises:
        OptionError: an unknown option, or a value of the wrong kind.

    Example:
        >>> reward = FLRReward(model="smollm2", set="short", dtype="fp32")
        >>> good, bad = reward(
        ...     prompts=["Name a prime number."] * 2,
        ...     completions=["7 is a prime number.", "I'd rather not, ask someone else."],
        ... )
        >>> good > bad
        True
    """

    def __init__(self, **options: Any) -> None:
        self.options = of_python(options)
        self.__name__ = _NAME

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        log_metric: LogMetric | None = None,
        **given: Any,
    ) -> list[float | None]:
        """The reward of each completion, in order.

        Args:
            prompts: a text or a list of messages for each completion.
            completions: texts, or lists of messages.
            log_metric: takes the mean reward of each category, and the share without a reward.
            given: what else TRL passes; not looked at.

        Raises:
            UserError: what the options name cannot be found or used, or messages that are none.
        """
        del given
        prefix = "flr" if self.__name__ == _NAME else self.__name__
        return _rewards(rewarder(self.options), prompts, completions, log_metric, prefix)


def flr_reward(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    log_metric: LogMetric | None = None,
    **given: Any,
) -> list[float | None]:
    """`FLRReward` for TRL's command line, which takes a function by its dotted path.

    Its options are those of the environment (`flr.integrations.settings`).

    Args:
        prompts: a text or a list of messages for each completion.
        completions: texts, or lists of messages.
        log_metric: takes the mean reward of each category, and the share without a reward.
        given: what else TRL passes; not looked at.

    Raises:
        UserError: options that cannot be found or used, or messages that are none.
    """
    del given
    return _rewards(rewarder(of_environment()), prompts, completions, log_metric)


def _rewards(
    asker: Rewarder,
    prompts: Sequence[Any],
    completions: Sequence[Any],
    log_metric: LogMetric | None,
    prefix: str = "flr",
) -> list[float | None]:
    both = zip(prompts, completions, strict=True)
    rewards = asker.rewards([asker.asked(prompt, completion) for prompt, completion in both])
    if log_metric is None:
        return [one.value for one in rewards]
    _log(log_metric, rewards, prefix)
    return [None if one.reason else one.value for one in rewards]


def _log(log_metric: LogMetric, rewards: Sequence[Reward], prefix: str) -> None:
    scored = [one for one in rewards if not one.reason]
    if rewards:
        log_metric(f"{prefix}/skipped", 1 - len(scored) / len(rewards))
    for category in scored[0].by_category if scored else ():
        log_metric(
            f"{prefix}/{category}", sum(one.by_category[category] for one in scored) / len(scored)
        )
