"""A public, deterministic fake of an engine, for tests of everything above engines.

It is a language model of its own kind, small enough to compute by hand: after the tokens t_1..t_n
the logit of vocabulary id v is

    z(v) = -|v - m| / sharpness        m = (t_1 + 2 t_2 + ... + n t_n) mod vocabulary

so every number depends on every token before it and on their order, and on nothing else.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from flr.engines.base import Engine, LogitRequest, LogLikelihood, Request


@final
class ToyEngine(Engine):
    """The fake; see the module's docstring.

    Args:
        vocabulary: number of ids; rows must stay below it.
        max_tokens: longest row, tokens; None for no limit.
        sharpness: larger is flatter.

    Example:
        >>> engine = ToyEngine(vocabulary=2, sharpness=1.0)
        >>> answer, = engine.loglikelihoods([Request((1, 1), 1, 2)])
        >>> round(answer.total, 4)  # m = 1, so log(1 / (1 + exp(-1)))
        -0.3133
    """

    name = "toy"

    def __init__(
        self, *, vocabulary: int = 512, max_tokens: int | None = None, sharpness: float = 64.0
    ) -> None:
        super().__init__()
        self.vocabulary, self.max_tokens, self.sharpness = vocabulary, max_tokens, sharpness

    def loglikelihoods(self, requests: Sequence[Request]) -> list[LogLikelihood]:
        """Answers every request, in order; see `Engine`."""
        self._count([request.tokens for request in requests])
        return [
            LogLikelihood(
                tuple(
                    self._loglikelihood(request.tokens[:at], request.tokens[at])
                    for at in range(request.start, request.stop)
                )
            )
            for request in requests
        ]

    def mean_logits(self, requests: Sequence[LogitRequest]) -> list[float]:
        """The mean raw logit of each request's ids after its last token, in order."""
        self._count([request.tokens for request in requests])
        return [float(self._logits(r.tokens)[list(r.ids)].mean()) for r in requests]

    def _count(self, rows: Sequence[tuple[int, ...]]) -> None:
        self.check_lengths(rows)
        tokens = sum(map(len, rows))
        self.tally.add("toy", len(rows), tokens, tokens)

    def _loglikelihood(self, context: tuple[int, ...], token: int) -> float:
        logits = self._logits(context)
        return float(logits[token] - np.log(np.exp(logits).sum()))

    def _logits(self, context: tuple[int, ...]) -> Float[np.ndarray, " vocabulary"]:
        middle = sum(at * token for at, token in enumerate(context, start=1)) % self.vocabulary
        return -np.abs(np.arange(self.vocabulary) - middle) / self.sharpness
