"""Scores conversations: the procedure from a prompt and a response to a reward.

    conversations -> token rows (`chat`) -> log-likelihoods (`engines`) -> rewards (`rewards`)

`Scorer` stays loaded and scores what is in memory. How a file is scored, resumed and shared among
processes is `score_file`'s; where a scorer comes from is `loading`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np

from flr import rewards
from flr.chat import Renderer
from flr.engines.base import Engine, LogitRequest, Request
from flr.errors import ContextOverflowError, OptionError, SpecialTokenError, did_you_mean
from flr.rows import parse
from flr.types import Conversation, FollowUpSet

Policy = Literal["error", "skip"]
"""What to do with a conversation that cannot be scored: stop, or leave it out and count it."""


CALL = 64
"""Most conversations in one call of the engine."""


@final
@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine said of every follow-up after one response, in the set's order.

    Args:
        values: log-likelihood of each follow-up, nats; for `official` its mean raw logit.
        tokens: number of tokens of each.
        baseline_values: for `pmi`, the log-likelihoods after an empty response, nats.
        baseline_tokens: for `pmi`, the number of tokens there.
        dropped: how many of the oldest messages were left out to fit the model.
        split: whether the token rows were put together from parts (see `flr.chat`).
    """

    values: tuple[float, ...]
    tokens: tuple[int, ...]
    baseline_values: tuple[float, ...] = ()
    baseline_tokens: tuple[int, ...] = ()
    dropped: int = 0
    split: bool = False


@final
@dataclass(frozen=True, slots=True)
class Skipped:
    """A conversation that was left out, and why."""

    reason: str


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """The requests of one conversation, one a follow-up."""

    response: Sequence[Request | LogitRequest]
    baseline: Sequence[Request]
    dropped: int
    split: bool


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
    ) -> None:
        check_variant(reward)
        self.engine, self.renderer, self.followup_set = engine, renderer, followup_set
        self.reward, self.weights = reward, merged_weights(followup_set, weights or {})
        self.skippable = skippable(on_overflow=on_overflow, on_special=on_special)
        self._texts = tuple(followup.text for followup in followup_set.followups)

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
        """What the engine says of every follow-up after each response; the engine is called for
        `CALL` conversations at a time, so that memory does not grow with their number.
        """
        calls = range(0, len(conversations), CALL)
        return [one for at in calls for one in self._measure(conversations[at : at + CALL])]

    def _measure(self, conversations: Sequence[Conversation]) -> list[Measured | Skipped]:
        asked = [self._asked(conversation) for conversation in conversations]
        answers = iter(
            self._answers(
                [
                    request
                    for one in asked
                    if isinstance(one, _Asked)
                    for request in (*one.response, *one.baseline)
                ]
            )
        )
        measured: list[Measured | Skipped] = []
        for one in asked:
            if isinstance(one, Skipped):
                measured.append(one)
                continue
            values, tokens = _columns([next(answers) for _ in one.response])
            baseline = _columns([next(answers) for _ in one.baseline])
            measured.append(Measured(values, tokens, *baseline, one.dropped, one.split))
        assert next(answers, None) is None, "every answer belongs to a conversation"
        return measured

    def _asked(self, conversation: Conversation) -> _Asked | Skipped:
        """The requests of one conversation, for `pmi` also those after an empty response."""
        try:
            if self.reward == "official":
                official = self.renderer.official(conversation, self._texts)
                logits = [LogitRequest(row.tokens, row.bag) for row in official.rows]
                return _Asked(logits, (), official.dropped, official.split)
            made = self.renderer.followups(conversation, self._texts)
            baseline: tuple[Any, ...] = ()
            if self.reward == "pmi":
                empty = made.conversation.with_response("")
                baseline = self.renderer.followups(empty, self._texts).rows
            rows = [Request(r.tokens[: r.stop], r.start, r.stop) for r in (*made.rows, *baseline)]
            count = len(made.rows)
            return _Asked(rows[:count], rows[count:], made.dropped, made.split)
        except self.skippable as error:
            return Skipped(str(error))

    def _answers(self, requests: Sequence[Request | LogitRequest]) -> list[tuple[float, int]]:
        """Value and number of tokens of each request."""
        logits = [request for request in requests if isinstance(request, LogitRequest)]
        if logits:
            means = self.engine.mean_logits(logits)
            return [(mean, len(r.ids)) for mean, r in zip(means, logits, strict=True)]
        spans = [request for request in requests if isinstance(request, Request)]
        answers = self.engine.loglikelihoods(spans)
        return [(answer.total, answer.tokens) for answer in answers]


def _columns(answers: list[tuple[float, int]]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    return tuple(value for value, _ in answers), tuple(tokens for _, tokens in answers)


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
    values, tokens = np.array(measured.values), np.array(measured.tokens)
    empty = np.array(measured.baseline_values), np.array(measured.baseline_tokens)
    baseline = empty if reward == "pmi" else ()
    official = reward == "official"
    each = values if official else rewards.per_followup(values, tokens, reward, *baseline)
    by_category = rewards.by_category(each, followup_set)
    followups = [
        {
            "text": followup.text,
            "category": followup.category,
            "polarity": followup.polarity,
            "logit" if official else "logprob": value,
            "tokens": count,
        }
        for followup, value, count in zip(
            followup_set.followups, measured.values, measured.tokens, strict=True
        )
    ]
    return Score(rewards.reward(by_category, weights), by_category, followups)


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


def skippable(*, on_overflow: Policy, on_special: Policy) -> tuple[type[Exception], ...]:
    """The errors of a conversation that leave it out and do not stop the run."""
    policies = ((ContextOverflowError, on_overflow), (SpecialTokenError, on_special))
    return tuple(kind for kind, policy in policies if policy == "skip")


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
