"""The engine for models that vLLM runs: each context once, by vLLM's prefix cache.

vLLM gives log-likelihoods of a prompt's tokens (`prompt_logprobs`). Left alone it then computes
every token anew, since it keeps none for cached tokens. So it is told to read the cache, and is
asked only for what was not in it:

    next tokens    one request a context: what comes next, at the ids that follow-ups begin with;
                   and one wherever rows part where a block of the cache ends
    the rest       one request a row; where a row begins like one before it, those numbers are that
                   row's, for they depend on the tokens up to their own alone

A row of which more was in the cache than this foresees is asked for once more, whole. A version
that takes a start position (`prompt_logprob_start`), as its second model runner does, gets it.

vLLM is known to have answered wrongly from its cache (issue 42019 there). So the first rows are
asked for both ways, and where the two differ the cache is left aside for good, and `describe` says
so.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, final

from flr.engines.base import Engine, LogLikelihood, Request
from flr.errors import ModelError
from flr.vllm_model import VLLMModel

AT_ONCE = 128
"""Ids whose log-likelihoods one request may ask for, of what comes next."""

CHECKED = 8
"""First rows that are asked for both ways."""

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.3, "float16": 0.1}
"""Largest difference of a row, mean over its tokens, that rounding explains, nats a token."""


@final
class VLLMEngine(Engine):
    """Scores with a model that vLLM runs.

    Args:
        model: loaded.
    """

    name = "vllm"

    def __init__(self, model: VLLMModel) -> None:
        super().__init__()
        self._model = model
        config = model.llm.llm_engine.vllm_config
        self._dtype = str(config.model_config.dtype).removeprefix("torch.")
        self._vocabulary = int(config.model_config.get_vocab_size())
        self._block = int(config.cache_config.block_size)
        self._takes_start = bool(getattr(config, "use_v2_model_runner", False))
        # One less than vLLM takes: it writes a token behind every prompt.
        self.max_tokens = int(config.model_config.max_model_len) - 1
        self._reads_cache: bool | None = None
        self._difference = 0.0

    def loglikelihoods(self, requests: Sequence[Request]) -> list[LogLikelihood]:
        """Answers every request, in order; see `Engine`.

        Raises:
            ModelError: vLLM leaves out a token's log-likelihood, or cannot answer.
        """
        rows = [request.tokens for request in requests]
        self.check_lengths(rows)
        self.check_vocabulary(rows, self._vocabulary)
        asked = [request for request in requests if request.stop > request.start]
        if self._reads_cache is None and asked:
            self._check_cache(asked[:CHECKED])
        found = iter(self._answers(asked) if asked else [])
        self.tally.add(self.name, len(asked), 0, sum(request.stop for request in asked))
        return [
            LogLikelihood(next(found) if request.stop > request.start else ())
            for request in requests
        ]

    def describe(self) -> str:
        """Whether contexts are shared, and why not."""
        if self._reads_cache is False:
            return (
                "vllm: every row in full; from its prefix cache the first rows differed by "
                f"{self._difference:.2g} nats a token"
            )
        return "vllm: contexts from its prefix cache"

    def _check_cache(self, requests: Sequence[Request]) -> None:
        """Asks for the first rows both ways, the cache filled, and decides whether to read it."""
        whole = self._whole(requests)
        differences = [
            sum(abs(one - other) for one, other in zip(full, short, strict=True)) / len(full)
            for full, short in zip(whole, self._shared(requests), strict=True)
            if short is not None
        ]
        if differences:  # else too much was in the cache to compare, and the next rows are asked
            self._difference = max(differences)
            self._reads_cache = self._difference <= TOLERANCE.get(self._dtype, 0.3)

    def _answers(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Per token, each row from the cache where that may be read and says enough."""
        if not self._reads_cache:
            return self._whole(requests)
        found = self._shared(requests)
        again = [at for at, one in enumerate(found) if one is None]
        anew = iter(self._whole([requests[at] for at in again]))
        return [next(anew) if one is None else one for one in found]

    def _whole(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Per token, every row in full."""
        asked = [
            self._model.parameters(max_tokens=1, prompt_logprobs=0, skip_reading_prefix_cache=True)
            for _ in requests
        ]
        outputs = self._model.ask([one.tokens[: one.stop] for one in requests], asked)
        self._count(outputs, [request.stop for request in requests])
        return [
            tuple(_logprob(output.prompt_logprobs[at], request.tokens[at]) for at in _span(request))
            for request, output in zip(requests, outputs, strict=True)
        ]

    def _shared(self, requests: Sequence[Request]) -> list[tuple[float, ...] | None]:
        """Per token, from the cache; None for a row of which too much was in it."""
        rows = sorted({request.tokens[: request.stop]: request for request in requests}.items())
        parting = {request.tokens[: request.start + 1] for request in requests}
        # Where each row's own numbers begin: behind what it shares with the one before it.
        before: tuple[int, ...] = ()
        begins: dict[tuple[int, ...], int] = {}
        for tokens, request in rows:
            begin = max(request.start + 1, _common(before, tokens))
            if begin % self._block == 0 and begin < len(tokens):
                # The token that predicts this one may be the last of a block in the cache.
                parting.add(tokens[: begin + 1])
                begin += 1
            begins[tokens], before = begin, tokens
        asked = [tokens for tokens, _ in rows if begins[tokens] < len(tokens)]
        outputs = self._model.ask(asked, [self._from(one, begins[one]) for one in asked])
        self._count(outputs, list(map(len, asked)))
        said: dict[tuple[int, ...], float] = {}
        for tokens, output in zip(asked, outputs, strict=True):
            said |= self._read(tokens, begins[tokens], output)
        said |= self._next(parting)  # last: it puts into the cache what rows were to compute
        return [_all_of(request, said) for request in requests]

    def _next(self, rows: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
        """Log-likelihood of the last token of each row."""
        next_ids: dict[tuple[int, ...], set[int]] = {}
        for row in rows:
            next_ids.setdefault(row[:-1], set()).add(row[-1])
        asked = [
            (context, sorted(ids)[at : at + AT_ONCE])
            for context, ids in sorted(next_ids.items())
            for at in range(0, len(ids), AT_ONCE)
        ]
        parameters = [self._model.parameters(max_tokens=1, logprob_token_ids=i) for _, i in asked]
        outputs = self._model.ask([context for context, _ in asked], parameters)
        self._count(outputs, [len(context) for context, _ in asked])
        return {
            (*context, one): _logprob(output.outputs[0].logprobs[0], one)
            for (context, ids), output in zip(asked, outputs, strict=True)
            for one in ids
        }

    def _from(self, tokens: tuple[int, ...], begin: int) -> Any:
        """What is asked of a row from a place on."""
        named: dict[str, Any] = {"max_tokens": 1, "skip_reading_prefix_cache": False}
        if not self._takes_start:
            return self._model.parameters(prompt_logprobs=0, **named)
        return self._model.parameters(
            prompt_logprob_start=begin - 1,
            prompt_logprob_token_ids=[[token] for token in tokens[begin:]],
            **named,
        )

    def _read(
        self, tokens: tuple[int, ...], begin: int, output: Any
    ) -> dict[tuple[int, ...], float]:
        """What is said of a row, by the row up to each token; of nothing that was in the cache."""
        if self._takes_start:
            scores = output.prompt_token_id_logprobs
            if scores is None or len(scores) != len(tokens) - begin:
                return {}
            places = range(begin, len(tokens))
            return {tokens[: at + 1]: float(scores[at - begin][0]) for at in places}
        # What was in the cache has entries, too, but nothing was ever written into them.
        computed = range(max(begin, (output.num_cached_tokens or 0) + 1), len(tokens))
        entries = output.prompt_logprobs
        return {tokens[: at + 1]: _logprob(entries[at], tokens[at]) for at in computed}

    def _count(self, outputs: Sequence[Any], lengths: Sequence[int]) -> None:
        """Counts tokens that were computed."""
        cached = sum(output.num_cached_tokens or 0 for output in outputs)
        self.tally.tokens_run += sum(lengths) - cached


def _span(request: Request) -> range:
    return range(request.start, request.stop)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens two rows begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _all_of(request: Request, said: Mapping[tuple[int, ...], float]) -> tuple[float, ...] | None:
    """The numbers of a continuation; None where one is not known."""
    found = [said.get(request.tokens[: at + 1]) for at in _span(request)]
    known = tuple(one for one in found if one is not None)
    return known if len(known) == len(found) else None


def _logprob(entry: Mapping[int, Any] | None, token: int) -> float:
    """What vLLM says of a token at a place.

    Raises:
        ModelError: nothing.
    """
    found = (entry or {}).get(token)
    if found is None:
        raise ModelError(
            f"vLLM gives no log-likelihood of token {token}; is its logprobs_mode another than "
            "raw_logprobs?"
        )
    return float(found.logprob)
