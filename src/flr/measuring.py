"""Asks an engine about responses: from conversations to log-likelihoods, nothing made of them yet.

    conversations -> token rows (`chat`) -> requests -> answers (`engines`) -> `Measured`

What a reward is made of them is `scoring`'s; which blocks are measured where is that of `workers`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from flr.chat import Renderer
from flr.engines.base import Engine, LogitRequest, Request
from flr.errors import ContextOverflowError, RenderError, SpecialTokenError
from flr.spans import TokenRow
from flr.types import Conversation

Policy = Literal["error", "skip"]
"""What to do with a conversation that cannot be scored: stop, or leave it out and count it."""

CALL = 64
"""Most conversations in one call of the engine."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked about each response; all of it goes through one prefix tree, but for `logits`.

    Args:
        followups: the log-likelihood of each follow-up.
        baselines: the same after the same prompt with an empty response, for `pmi`.
        logits: the published code's mean raw logit of each follow-up, for `official`.
        response: the log-likelihood of the response itself.
    """

    followups: bool = False
    baselines: bool = False
    logits: bool = False
    response: bool = False

    def __or__(self, other: "Wanted") -> "Wanted":
        """What either asks for."""
        return Wanted(
            followups=self.followups or other.followups,
            baselines=self.baselines or other.baselines,
            logits=self.logits or other.logits,
            response=self.response or other.response,
        )


@final
@dataclass(frozen=True, slots=True)
class Values:
    """One number a follow-up, or of the response, and how many tokens each stands for.

    Args:
        values: log-likelihoods, nats; or mean raw logits.
        tokens: number of tokens of each.
    """

    values: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()

    def part(self, begin: int, end: int) -> "Values":
        """Those of some of the follow-ups."""
        return Values(self.values[begin:end], self.tokens[begin:end])


@final
@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine said about one response; what was not asked for is empty.

    Args:
        followups: log-likelihood of each follow-up, in the order of the texts, nats.
        baselines: the same after an empty response.
        logits: mean raw logit of each follow-up; of a classifier its one score.
        response: log-likelihood of the response itself, one entry, nats.
        dropped: how many of the oldest messages were left out to fit the model.
        split: whether the token rows were put together from parts (see `flr.chat`).
    """

    followups: Values = Values()
    baselines: Values = Values()
    logits: Values = Values()
    response: Values = Values()
    dropped: int = 0
    split: bool = False

    def part(self, begin: int, end: int) -> "Measured":
        """The same of some of the follow-ups."""
        return replace(
            self,
            followups=self.followups.part(begin, end),
            baselines=self.baselines.part(begin, end),
            logits=self.logits.part(begin, end),
        )


@final
@dataclass(frozen=True, slots=True)
class Skipped:
    """A conversation that was left out, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """The requests about one conversation, part by part in the order of `Measured`'s fields."""

    followups: Sequence[Request]
    baselines: Sequence[Request]
    logits: Sequence[LogitRequest]
    response: Sequence[Request]
    dropped: int
    split: bool


@final
class Measurer:
    """Measures conversations with a model that stays loaded.

    Args:
        engine: gives the log-likelihoods.
        renderer: makes the token rows, for the same model.
        texts: the follow-ups.
        wanted: what is asked about each response.
        skippable: errors of a conversation, each of that very class, that leave it out and do not
            stop the run.
    """

    def __init__(
        self,
        engine: Engine,
        renderer: Renderer,
        texts: Sequence[str],
        wanted: Wanted,
        skippable: tuple[type[Exception], ...] = (),
    ) -> None:
        self.engine, self.renderer = engine, renderer
        self.texts, self.wanted, self.skippable = tuple(texts), wanted, skippable

    def measure(self, conversations: Sequence[Conversation]) -> list[Measured | Skipped]:
        """What the engine says of each response, in order.

        The engine is called for `CALL` conversations at a time, so that memory does not grow with
        their number.
        """
        calls = range(0, len(conversations), CALL)
        return [one for at in calls for one in self._measure(conversations[at : at + CALL])]

    def _measure(self, conversations: Sequence[Conversation]) -> list[Measured | Skipped]:
        asked = [self._asked(conversation) for conversation in conversations]
        known = [one for one in asked if isinstance(one, _Asked)]
        spans = [r for one in known for r in (*one.followups, *one.baselines, *one.response)]
        answers = self.engine.loglikelihoods(spans) if spans else []
        likelihoods = iter([(answer.total, answer.tokens) for answer in answers])
        bags = [request for one in known for request in one.logits]
        means = self.engine.mean_logits(bags) if bags else []
        logits = iter([(mean, len(bag.ids)) for mean, bag in zip(means, bags, strict=True)])
        measured = [
            one if isinstance(one, Skipped) else _measured(one, likelihoods, logits)
            for one in asked
        ]
        assert next(likelihoods, None) is None, "every answer belongs to a conversation"
        assert next(logits, None) is None, "every answer belongs to a conversation"
        return measured

    def _asked(self, conversation: Conversation) -> _Asked | Skipped:
        try:
            return self._requests(conversation)
        except RenderError as error:
            if type(error) not in self.skippable:
                raise
            return Skipped(str(error))

    def _requests(self, conversation: Conversation) -> _Asked:
        """The requests about one conversation, all with the same oldest turns dropped."""
        followups: list[Request] = []
        baselines: list[Request] = []
        logits: list[LogitRequest] = []
        response: list[Request] = []
        dropped, split, kept = 0, False, conversation
        if self.wanted.followups or self.wanted.baselines or self.wanted.logits:
            made = self.renderer.followups(conversation, self.texts)
            dropped, split, kept = made.dropped, made.split, made.conversation
            followups = [_request(row) for row in made.rows] if self.wanted.followups else []
            official = self.renderer.official(made, self.texts) if self.wanted.logits else ()
            logits = [LogitRequest(row.tokens, row.bag) for row in official]
        if self.wanted.baselines:
            empty = self.renderer.followups(kept.with_response(""), self.texts)
            baselines = [_request(row) for row in empty.rows]
        if self.wanted.response:
            own = self.renderer.response(kept)
            dropped += own.dropped
            response = [_request(row) for row in own.rows]
        return _Asked(followups, baselines, logits, response, dropped, split)


def _request(row: TokenRow) -> Request:
    return Request(row.tokens[: row.stop], row.start, row.stop)


def _values(answers: Iterator[tuple[float, int]], count: int) -> Values:
    """The next answers."""
    taken = [next(answers) for _ in range(count)]
    return Values(tuple(value for value, _ in taken), tuple(tokens for _, tokens in taken))


def _measured(
    asked: _Asked, likelihoods: Iterator[tuple[float, int]], logits: Iterator[tuple[float, int]]
) -> Measured:
    return Measured(
        followups=_values(likelihoods, len(asked.followups)),
        baselines=_values(likelihoods, len(asked.baselines)),
        response=_values(likelihoods, len(asked.response)),
        logits=_values(logits, len(asked.logits)),
        dropped=asked.dropped,
        split=asked.split,
    )


def skippable(
    *, on_overflow: Policy, on_special: Policy, on_refused: Policy = "error"
) -> tuple[type[Exception], ...]:
    """The errors of a conversation that leave it out and do not stop the run."""
    policies = (
        (ContextOverflowError, on_overflow),
        (SpecialTokenError, on_special),
        (RenderError, on_refused),
    )
    return tuple(kind for kind, policy in policies if policy == "skip")


SKIP_ALL = skippable(on_overflow="skip", on_special="skip", on_refused="skip")
"""For those who leave out every conversation that cannot be measured, and say so."""
