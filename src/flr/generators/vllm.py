"""Responses by vLLM, offline: the prompts of a block together, n responses on one cached prefix.

Its batches are its own affair, so a block drawn again is the same bytes only as far as vLLM is.
"""

from collections.abc import Sequence
from typing import Any, final

from flr.generators.base import Generated, Generator, Sampling
from flr.vllm_model import VLLMModel


@final
class VLLMGenerator(Generator):
    """Draws from a model that vLLM runs.

    Args:
        model: loaded.
        sampling: how responses are drawn.
        stops: tokens that end a response.
    """

    def __init__(self, model: VLLMModel, sampling: Sampling, stops: Sequence[int]) -> None:
        self.sampling, self.stops, self._model = sampling, sorted(stops), model

    def generate(
        self, prompts: Sequence[tuple[int, ...]], seed: int
    ) -> list[tuple[Generated, ...]]:
        """n responses to each prompt; see `Generator.generate`."""
        # vLLM gives the responses to a prompt its seed, seed + 1, ...; no two are to have the same.
        drawn = [self._parameters(seed + at * self.sampling.n) for at in range(len(prompts))]
        outputs = self._model.ask(prompts, drawn)
        return [tuple(map(self._generated, output.outputs)) for output in outputs]

    def _parameters(self, seed: int) -> Any:
        return self._model.parameters(
            n=self.sampling.n,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self.sampling.max_new_tokens,
            stop_token_ids=self.stops,
            ignore_eos=True,  # the stops are all there are
            seed=seed % 2**63,
        )

    def _generated(self, output: Any) -> Generated:
        tokens = tuple(output.token_ids)
        finished = output.finish_reason == "stop"
        ends = finished and tokens and tokens[-1] in self.stops
        return Generated(tokens[:-1] if ends else tokens, finished)
