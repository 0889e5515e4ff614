"""What the reward functions of all trainers share: one scorer a process, and what it is asked.

    prompt, response -> `Asked` (messages) -> conversations -> `Reward`

A response that the follow-up model cannot take (too long, special tokens in its texts, refused by
its template) gets the lowest reward that this process has given so far, 0 before any; callers for
whom "no reward" has a word of its own say that in its place. How many there were is warned of once,
and logged always.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, final

from flr import models, sources
from flr.integrations.rendered import PolicyText, looks_written
from flr.integrations.settings import RewardOptions
from flr.integrations.together import Together
from flr.loading import make_scorer, prepare
from flr.measuring import Skipped
from flr.messages import comparable
from flr.rows import parse
from flr.scoring import Score, Scorer, value
from flr.turns import REASONING_FIELDS, THINK_TAGS, opened_thought
from flr.types import Conversation


@final
@dataclass(frozen=True, slots=True)
class Asked:
    """One conversation as a trainer gave it.

    Args:
        messages: in the form of rows, not looked into yet; the last one is the response.
        exact: False where the prompt was text of the policy's template that could not be read back,
            or looks like it and the policy is not known.
        thought: whether all of the response lies in a think block that the policy's template, by
            what is known of it, has opened, and nothing has closed.
    """

    messages: Sequence[Any]
    exact: bool = True
    thought: bool = False


@final
@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of one response.

    Args:
        value: in the unit of the variant.
        by_category: the same in each category.
        reason: why it was not scored, where another's reward stands in for it; else empty.
    """

    value: float
    by_category: Mapping[str, float]
    reason: str = ""


@final
class Rewarder:
    """Rewards the responses of a trainer's policy with a follow-up model that stays loaded.

    Args:
        options: what it is made of.

    Raises:
        UserError: what the options name cannot be found or used.
    """

    def __init__(self, options: RewardOptions) -> None:
        self._policy = _policy_text(options)
        self._scorer: Scorer = make_scorer(options, prepare(options), on_refused="skip")
        self._lowest: Score | None = None
        self._nothing = Score(0.0, dict.fromkeys(self._scorer.followup_set.categories, 0.0), ())
        self._scores = Together(self._serve)
        self._told: set[str] = set()

    @property
    def policy(self) -> PolicyText | None:
        """Reads text of the policy's template, where the policy is known."""
        return self._policy

    def asked(self, prompt: Any, response: Any) -> Asked | Skipped:
        """What a trainer asks about: text or messages, and the response to them.

        Args:
            prompt: messages, or a text, which may be one of the policy's template.
            response: a text, or messages of which the last one is the assistant's.
        """
        before, exact = prompt, True
        if self._policy and isinstance(prompt, str):
            read = self._policy.prompt(prompt)
            before, exact = [message.as_dict() for message in read.messages], read.exact
        elif isinstance(prompt, str):
            exact = not looks_written(prompt)
        if self._policy and isinstance(response, str):
            response = self._policy.response(response)
        after = _messages(response, "assistant")
        of_messages = self._policy.opening if self._policy else ""
        if tag := opened_thought(prompt) if isinstance(prompt, str) else of_messages:
            after[-1:] = [_inside(tag, one) for one in after[-1:]]
        thought = bool(of_messages) and not isinstance(prompt, str) and _is_thought(after)
        if after and isinstance(after[-1], Mapping) and after[-1].get("role") == "tool":
            return Skipped("it ends with what a tool said, not with a response")
        return Asked([*_messages(before, "user"), *after], exact, thought)

    def rewards(self, asked: Sequence[Asked | Skipped]) -> list[Reward]:
        """The reward of each response, in order; calls from several threads are served together.

        Raises:
            InputError: messages that are no conversation.
            RenderError: what `on_special` and `on_overflow` are asked to make an error.
        """
        known = [one for one in asked if isinstance(one, Asked)]
        if len(known) > 1 and all(one.thought for one in known):
            self._warn(
                "thought",
                f"none of {len(known)} responses ends the think block that the policy's template "
                "opens, so nothing of them is scored; where the trainer turns thinking off (as "
                "enable_thinking=False), leave out the option policy",
            )
        rows = parse([{"messages": one.messages} for one in known], "responses") if known else []
        scores = iter(self._scores([row.conversations[0] for row in rows]) if rows else [])
        answers = [one if isinstance(one, Skipped) else next(scores) for one in asked]
        scored = [
            one
            for one, answer in zip(asked, answers, strict=True)
            if isinstance(one, Asked) and isinstance(answer, Score)
        ]
        self._tell(answers, sum(not one.exact for one in scored))
        lowest = self._lowest or self._nothing
        return [
            Reward(lowest.reward, lowest.by_category, one.reason)
            if isinstance(one, Skipped)
            else Reward(one.reward, one.by_category)
            for one in answers
        ]

    def _serve(self, conversations: Sequence[Conversation]) -> list[Score | Skipped]:
        """The scores, in order; responses to one prompt go to the engine side by side."""
        groups: dict[Any, list[int]] = {}
        for at, conversation in enumerate(conversations):
            groups.setdefault(comparable(conversation.prompt), []).append(at)
        order = [at for group in groups.values() for at in group]
        scorer = self._scorer
        measured = scorer.measure([conversations[at] for at in order])
        found = {
            at: one
            if isinstance(one, Skipped)
            else value(one, scorer.followup_set, scorer.reward, scorer.weights)
            for at, one in zip(order, measured, strict=True)
        }
        seen = [one for one in (self._lowest, *found.values()) if isinstance(one, Score)]
        self._lowest = min(seen, key=lambda one: one.reward, default=None)
        return [found[at] for at in range(len(conversations))]

    def _tell(self, answers: Sequence[Score | Skipped], inexact: int) -> None:
        """Warns of what is not as it should be, of each kind once."""
        skipped = [one.reason for one in answers if isinstance(one, Skipped)]
        if skipped:
            self._warn(
                "skipped",
                f"{len(skipped)} of {len(answers)} responses could not be scored; each gets no "
                "reward, or the lowest of this run where the trainer knows no such thing. The "
                f"first: {skipped[0]}. (Prompts that are text of a chat template need the option "
                "policy)",
            )
        if inexact and self._policy is None:
            self._warn(
                "written",
                f"{inexact} of {len(answers)} prompts look like text of a chat template "
                "(<|im_start|>, [INST], ...), and its marks are in what is scored; name the option "
                "policy, the model that is trained, so that they are read back into messages",
            )
        elif inexact:
            self._warn(
                "inexact",
                f"{inexact} of {len(answers)} prompts are text of the policy's chat template that "
                "could not be read back into messages; each is taken as one message of the user, "
                "without the policy's special tokens. Give the trainer prompts as messages",
            )

    def _warn(self, kind: str, words: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            warnings.warn(f"flr: {words}. This is said once.", stacklevel=4)


_loaded: dict[str, Rewarder] = {}
_loading = Lock()


def rewarder(options: RewardOptions) -> Rewarder:
    """The rewarder of these options, loaded at the first call and kept as long as the process.

    Raises:
        UserError: what the options name cannot be found or used.
    """
    key = repr(options)
    with _loading:
        if key not in _loaded:
            _loaded[key] = Rewarder(options)
        return _loaded[key]


def _policy_text(options: RewardOptions) -> PolicyText | None:
    if options.policy is None:
        return None
    source = sources.locate(options.policy)
    remote = options.trust_remote_code
    return PolicyText(models.load_tokenizer(source, trust_remote_code=remote))


def _is_thought(response: Sequence[Any]) -> bool:
    """Whether a response that was put inside a think block never leaves it."""
    last = response[-1] if response else None
    content = last.get("content") if isinstance(last, Mapping) else None
    return (
        isinstance(content, str)
        and content.startswith(THINK_TAGS[0])
        and (THINK_TAGS[1] not in content)
    )


def _inside(tag: str, message: Any) -> Any:
    """A response that begins inside a think block, the tag before its text.

    Not where the trainer has put the thought into a field of its own.
    """
    if not isinstance(message, Mapping) or any(message.get(name) for name in REASONING_FIELDS):
        return message
    content = message.get("content")
    whole = isinstance(content, str) and message.get("role") == "assistant"
    return {**message, "content": f"{tag}{content}"} if whole else message


def _messages(value: Any, role: str) -> list[Any]:
    """The messages in a list (an array, a tuple) of them, in one, or in a text."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        return [value]
    return list(value)
