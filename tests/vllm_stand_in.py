"""A stand-in for vLLM: what it is asked is kept, and answered by rules simple enough to foresee."""

from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

END = 2
BLOCK = 4
"""Tokens of a block of the prefix cache; only whole blocks are in it."""


def score(tokens: list[int], at: int) -> float:
    """The log-likelihood of the token at a place: it depends on all before it."""
    return -0.01 * sum((n + 1) * token for n, token in enumerate(tokens[: at + 1]))


@dataclass
class Output:
    token_ids: list[int]
    finish_reason: str
    logprobs: Any = None


@dataclass
class Outputs:
    outputs: list[Output]
    num_cached_tokens: int = 0
    prompt_logprobs: Any = None
    prompt_token_id_logprobs: Any = None


@dataclass
class Logprob:
    logprob: float


class Parameters:
    def __init__(self, **named: Any) -> None:
        self.named = named


class EngineDeadError(Exception):
    """As vLLM's own, which is no RuntimeError."""

    __module__ = "vllm.v1.engine.exceptions"


@dataclass
class Cache:
    """Beginnings of whole blocks that were computed; `wrong` is what reading adds to a score."""

    held: set[tuple[int, ...]] = field(default_factory=set)
    wrong: float = 0.0

    def read(self, tokens: list[int]) -> int:
        """How many tokens of a row are held; the last one never is, for it has to predict."""
        sizes = range(0, len(tokens), BLOCK)
        return max(size for size in sizes if not size or tuple(tokens[:size]) in self.held)

    def keep(self, tokens: list[int]) -> None:
        self.held |= {tuple(tokens[:size]) for size in range(BLOCK, len(tokens) + 1, BLOCK)}


class Model:
    """Answers each prompt with its own tokens, one response that ends and one that is cut."""

    starts = False
    """Whether it takes a start position."""

    def __init__(self, **named: Any) -> None:
        if "broken" in named["model"]:
            raise ValueError("no such architecture")
        if "unheard" in named:
            raise TypeError("unexpected keyword argument 'unheard'")
        self.named, self.asked, self.cache = named, [], Cache()
        own = SimpleNamespace(dtype="torch.float32", max_model_len=33, get_vocab_size=lambda: 100)
        cache = SimpleNamespace(block_size=BLOCK)
        config = SimpleNamespace(
            model_config=own, cache_config=cache, use_v2_model_runner=self.starts
        )
        self.llm_engine = SimpleNamespace(vllm_config=config)

    def generate(self, prompts: Any, parameters: Any, *, use_tqdm: bool) -> list[Outputs]:
        assert not use_tqdm
        rows = [prompt["prompt_token_ids"] for prompt in prompts]
        named = [one.named for one in parameters]
        if [99] in rows:
            raise EngineDeadError("the engine is dead")
        if [98] in rows:
            raise ValueError("longer than the model")
        self.asked.append((prompts, named))
        return [self._answer(*pair) for pair in zip(rows, named, strict=True)]

    def _answer(self, tokens: list[int], named: dict[str, Any]) -> Outputs:
        answer = Outputs([Output([*tokens, END], "stop"), Output(tokens, "length")])
        of_prompt = not {"prompt_logprobs", "prompt_logprob_token_ids"}.isdisjoint(named)
        skipped = named.get("skip_reading_prefix_cache", of_prompt)
        answer.num_cached_tokens = cached = 0 if skipped else self.cache.read(tokens)
        self.cache.keep(tokens)
        wrong = self.cache.wrong if cached else 0.0
        if ids := named.get("logprob_token_ids"):
            assert len(set(ids)) == len(ids) <= 128
            own = {one: Logprob(score([*tokens, one], len(tokens)) + wrong) for one in ids}
            answer.outputs[0].logprobs = [own]
        if "prompt_logprobs" in named:
            # Of what was read from the cache vLLM tells whatever lay in memory.
            answer.prompt_logprobs = [
                None
                if at == 0
                else {77: Logprob(0.0)}
                if at <= cached
                else {token: Logprob(score(tokens, at) + wrong)}
                for at, token in enumerate(tokens)
            ]
        start = named.get("prompt_logprob_start")
        if start is not None and cached <= start:
            ids = named["prompt_logprob_token_ids"]
            assert len(ids) == len(tokens) - 1 - start
            assert [one for (one,) in ids] == tokens[start + 1 :]
            answer.prompt_token_id_logprobs = [
                [score(tokens, at) + wrong] for at in range(start + 1, len(tokens))
            ]
        return answer


class StartingModel(Model):
    starts = True


def module(model: type[Model] = Model) -> Any:
    """The library, with one of these models."""
    made: Any = ModuleType("vllm")
    made.LLM, made.SamplingParams = model, Parameters
    return made
