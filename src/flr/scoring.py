"""Scores conversations: the procedure from a prompt and a response to a reward.

    conversations -> token rows (`chat`) -> log-likelihoods (`engines`) -> rewards (`rewards`)

`Scorer` stays loaded and scores what is in memory. How a file is scored, resumed and shared among
processes is `score_file`'s; where a scorer comes from is `loading`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from jaxtyping import Float

from flr import rewards
from flr.chat import Renderer
from flr.engines.base import Engine
from flr.errors import OptionError, did_you_mean
from flr.measuring import Measured, Measurer, Policy, Skipped, Values, Wanted, skippable
from flr.rows import parse
from flr.types import Conversation, FollowUpSet

WANTED = {
    "mean": Wanted(followups=True),
    "sum": Wanted(followups=True),
    "pmi": Wanted(followups=True, baselines=True),
    "official": Wanted(logits=True),
}
"""What each variant of the reward is made of."""


@final
@dataclass(frozen=True, slots=True)
class Score:
    """The reward of one response, and what it was made of.

    Args:
        reward: in the unit of the variant (`mean` and `pmi`: nats a token).
        by_category: the same in each category.
        followups: each follow-up with its log-likelihood, in the form of result files.
    """

    reward: float
    by_category: Mapping[str, float]
    followups: Sequence[Mapping[str, Any]] = field(repr=False)


@final
class Scorer:
    """Scores conversations with a model that stays loaded; `flr.load` makes one.

    Args:
        engine: gives the log-likelihoods.
        renderer: makes the token rows, for the same model.
        followup_set: what the user may say next.
        reward: variant of the reward, one of `flr.rewards.VARIANTS`.
        weights: weights of some categories, in place of the set's own.
        on_overflow: for a conversation that is longer than the model.
        on_special: for a text that holds special tokens of the model.
        on_refused: for a conversation that the template refuses.

    Raises:
        OptionError: an unknown variant, or weights that do not fit the set.
    """

    def __init__(
        self,
        engine: Engine,
        renderer: Renderer,
        followup_set: FollowUpSet,
        *,
        reward: str = "mean",
        weights: Mapping[str, float] | None = None,
        on_overflow: Policy = "error",
        on_special: Policy = "error",
        on_refused: Policy = "error",
    ) -> None:
        check_variant(reward)
        self.engine, self.renderer, self.followup_set = engine, renderer, followup_set
        self.reward, self.weights = reward, merged_weights(followup_set, weights or {})
        left_out = skippable(on_overflow=on_overflow, on_special=on_special, on_refused=on_refused)
        texts = [followup.text for followup in followup_set.followups]
        self._measurer = Measurer(engine, renderer, texts, WANTED[reward], left_out)

    def score(
        self, conversations: Iterable[Conversation | Mapping[str, Any]]
    ) -> list[Score | None]:
        """The score of each conversation, in order; None for one that was skipped.

        Args:
            conversations: `Conversation`s, or mappings as in a row of `flr score` with one response
                (`{"messages": [...]}`, `{"prompt": ..., "response": ...}`).

        Raises:
            InputError: a mapping that is no conversation.
            RenderError: a conversation that the model's template cannot take.
        """
        measured = self.measure(list(map(as_conversation, conversations)))
        return [
            None
            if isinstance(one, Skipped)
            else value(one, self.followup_set, self.reward, self.weights)
            for one in measured
        ]

    def measure(self, conversations: Sequence[Conversation]) -> list[Measured | Skipped]:
        """What the engine says of every follow-up after each response; see `Measurer.measure`."""
        return self._measurer.measure(conversations)


def value(
    measured: Measured, followup_set: FollowUpSet, reward: str, weights: Mapping[str, float]
) -> Score:
    """The score of one measured response: pure arithmetic, no model.

    Args:
        measured: what the engine said.
        followup_set: what it was asked about.
        reward: variant of the reward.
        weights: weight of each category.
    """
    official = reward == "official"
    own = measured.logits if official else measured.followups
    each = _each(own, measured.baselines, reward)
    by_category = rewards.by_category(each, followup_set)
    weighted = any(followup.weight != 1.0 for followup in followup_set.followups)
    followups = [
        {
            "text": followup.text,
            "category": followup.category,
            "polarity": followup.polarity,
            **({"weight": followup.weight} if weighted else {}),
            "logit" if official else "logprob": value,
            "tokens": count,
        }
        for followup, value, count in zip(
            followup_set.followups, own.values, own.tokens, strict=True
        )
    ]
    return Score(rewards.reward(by_category, weights), by_category, followups)


def _each(own: Values, baselines: Values, reward: str) -> Float[np.ndarray, " followup"]:
    """The value of each follow-up."""
    if reward == "official":
        return np.array(own.values)
    empty = (np.array(baselines.values), np.array(baselines.tokens)) if reward == "pmi" else ()
    return rewards.per_followup(np.array(own.values), np.array(own.tokens), reward, *empty)


def check_variant(reward: str) -> None:
    """Raises where there is no such variant of the reward."""
    known = [variant.name for variant in rewards.VARIANTS]
    if reward not in known:
        raise OptionError(
            f"no reward variant {reward!r}; expected one of {', '.join(known)}."
            f"{did_you_mean(reward, known)}"
        )


def merged_weights(followup_set: FollowUpSet, weights: Mapping[str, float]) -> dict[str, float]:
    """The set's category weights, some of them replaced.

    Raises:
        OptionError: a weight of an unknown category, negative, not finite, or all of them 0.
    """
    merged = {**followup_set.weights, **{name: float(w) for name, w in weights.items()}}
    rewards.category_shares(followup_set.categories, merged)
    return merged


def as_conversation(given: Conversation | Mapping[str, Any]) -> Conversation:
    """A conversation, or the mapping of one, as a conversation.

    Raises:
        InputError: it is none, or holds several responses.
    """
    if isinstance(given, Conversation):
        return given
    (row,) = parse([given], "conversations")
    if len(row.conversations) != 1:
        raise OptionError("a mapping with several responses; score each as a conversation")
    return row.conversations[0]
