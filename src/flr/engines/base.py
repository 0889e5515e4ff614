"""The engine contract: the log-likelihood of a continuation after its context.

A request is one row of tokens and a span [start, stop) of it. The tokens before `start` are the
context, the tokens of the span the continuation, and the answer is

    sum over i in [start, stop) of log p(tokens[i] | tokens[:i])          nats

with a log-softmax in fp32 whatever the model's dtype, summed on the host in float64. Every engine
keeps the order of the requests, answers each of them or raises, and needs at least one token of
context, because a language model predicts nothing before its first token. Requests that share
beginnings may be computed together; callers never speak of it.

What an engine does not do: render conversations (`flr.chat`) or turn log-likelihoods into rewards
(`flr.rewards`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import final

from flr.errors import ContextOverflowError, FlrError, ModelError


@final
@dataclass(frozen=True, slots=True)
class Request:
    """One continuation to be scored in its context.

    Args:
        tokens: context and continuation, and nothing that the answer does not need.
        start: index of the continuation's first token, at least 1.
        stop: index after its last token; `start == stop` asks for an empty continuation.
    """

    tokens: tuple[int, ...]
    start: int
    stop: int

    def __post_init__(self) -> None:
        assert 1 <= self.start <= self.stop <= len(self.tokens), (
            f"a span [start, stop) with 1 <= start <= stop <= {len(self.tokens)} tokens was "
            f"expected, got [{self.start}, {self.stop})"
        )


@final
@dataclass(frozen=True, slots=True)
class LogitRequest:
    """Raw logits after the last of `tokens`, read at `ids`: the published code's quantity.

    Args:
        tokens: the row up to and with the position that predicts, at least one token.
        ids: vocabulary ids to read there, at least one.
    """

    tokens: tuple[int, ...]
    ids: tuple[int, ...]

    def __post_init__(self) -> None:
        assert self.tokens, "a logit request has a context"
        assert self.ids, "a logit request reads something"


@final
@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """The answer to one `Request`.

    Args:
        per_token: log-likelihood of each token of the continuation, nats.
    """

    per_token: tuple[float, ...]

    @property
    def total(self) -> float:
        """Log-likelihood of the whole continuation, nats."""
        return fsum(self.per_token)

    @property
    def tokens(self) -> int:
        """Length of the continuation, tokens."""
        return len(self.per_token)


@dataclass(slots=True)
class Tally:
    """What an engine did so far: the work, and the path that it took for it.

    Args:
        tokens_run: tokens that went through the model.
        tokens_asked: tokens that the same requests hold, one row each.
        paths: number of requests by the name of the path that answered them.
        positions: hidden states that met the vocabulary.
    """

    tokens_run: int = 0
    tokens_asked: int = 0
    paths: dict[str, int] = field(default_factory=dict[str, int])
    positions: int = 0

    def add(
        self, path: str, requests: int, tokens_run: int, tokens_asked: int, positions: int = 0
    ) -> None:
        """Adds the work of one call."""
        self.tokens_run += tokens_run
        self.tokens_asked += tokens_asked
        self.positions += positions
        self.paths[path] = self.paths.get(path, 0) + requests

    def merge(self, other: "Tally") -> None:
        """Adds the work of another tally."""
        self.tokens_run += other.tokens_run
        self.tokens_asked += other.tokens_asked
        self.positions += other.positions
        for path, requests in other.paths.items():
            self.paths[path] = self.paths.get(path, 0) + requests


class Engine(ABC):
    """Answers requests for log-likelihoods; see the module's docstring for the contract.

    Args:
        name: the engine's name in result files.
        max_tokens: longest row that it can take, tokens; None where there is no limit.
    """

    name: str
    max_tokens: int | None

    def __init__(self) -> None:
        self.tally = Tally()

    @abstractmethod
    def loglikelihoods(self, requests: Sequence[Request]) -> list[LogLikelihood]:
        """Answers every request, in order.

        Raises:
            ContextOverflowError: a row is longer than `max_tokens`.
        """

    def mean_logits(self, requests: Sequence[LogitRequest]) -> list[float]:  # noqa: ARG002
        """The mean raw logit of each request's ids, in order; not every engine has raw logits."""
        raise FlrError(f"the engine {self.name!r} gives no raw logits, which `official` needs")

    def describe(self) -> str:
        """Which path requests take, and why, in words for the run record."""
        return self.name

    def check_lengths(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Raises where a row is longer than the model takes."""
        longest = max((len(row) for row in rows), default=0)
        if self.max_tokens is not None and longest > self.max_tokens:
            raise ContextOverflowError(
                f"a row of {longest} tokens does not fit into the model's {self.max_tokens}; "
                "shorten the conversation"
            )

    def check_vocabulary(self, rows: Iterable[tuple[int, ...]], vocabulary: int) -> None:
        """Raises where a token lies outside the model's vocabulary."""
        for ids in rows:
            if not 0 <= min(ids) <= max(ids) < vocabulary:
                raise ModelError(
                    f"a row holds the token ids {min(ids)} to {max(ids)}, and the model's "
                    f"vocabulary has {vocabulary}: the tokenizer does not belong to this model"
                )
