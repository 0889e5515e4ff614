"""Responses by transformers' own `generate`: batched by length, padded on the left.

The prompts of a block, each n times, are sorted by length and cut into batches under a budget of
tokens, so that little is padded and memory is bounded. What is in a batch depends on the block
alone; floating point lets other batchings give other responses.
"""

from collections.abc import Iterator, Sequence
from typing import Any, final

import torch
from transformers import GenerationConfig, PreTrainedModel

from flr.errors import ModelError
from flr.generators.base import Generated, Generator, Sampling

BATCH_TOKENS = {"cpu": 2**16, "cuda": 2**17}
"""Tokens of a batch, prompts and responses at their longest, by kind of device."""


def batches(lengths: Sequence[int], sampling: Sampling, batch_tokens: int) -> Iterator[list[int]]:
    """The prompts of each batch, by index; each prompt n times over all batches.

    Args:
        lengths: of each prompt, tokens.
        sampling: how many responses, how long.
        batch_tokens: most tokens of a batch; a batch of one response may have more.

    Example:
        >>> list(batches([3, 1, 9], Sampling(n=2, max_new_tokens=1), batch_tokens=20))
        [[1, 1, 0, 0], [2, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda at: lengths[at])
    waiting = [at for at in order for _ in range(sampling.n)]
    batch: list[int] = []
    for at in waiting:
        if batch and (len(batch) + 1) * (lengths[at] + sampling.max_new_tokens) > batch_tokens:
            yield batch
            batch = []
        batch.append(at)
    yield batch


def _config(sampling: Sampling, stops: Sequence[int], pad: int) -> GenerationConfig:
    """The settings, every one that could come from the policy's own named."""
    drawn: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        drawn = {
            "do_sample": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
        }
    return GenerationConfig(
        **drawn,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=list(stops) or None,
        pad_token_id=pad,
        use_cache=True,
    )


def _check_finite(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """A logits processor that raises where no token could be drawn, and changes nothing."""
    if not scores.amax().isfinite():  # NaN wins in amax; -inf alone may be a masked token
        raise ModelError(
            "the policy's logits are not finite numbers; try another --dtype (bf16 or fp32)"
        )
    return scores


@final
class HFGenerator(Generator):
    """Draws from a Hugging Face causal language model.

    Args:
        model: on its device, in evaluation mode; its generation settings are replaced.
        sampling: how responses are drawn.
        stops: tokens that end a response.
        batch_tokens: see `batches`; None for the device's default.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        sampling: Sampling,
        stops: Sequence[int],
        batch_tokens: int | None = None,
    ) -> None:
        self.model, self.sampling, self.stops = model, sampling, frozenset(stops)
        self.batch_tokens = batch_tokens or BATCH_TOKENS.get(model.device.type, 2**16)
        self.pad = min(stops, default=0)  # masked wherever it stands
        self.model.generation_config = _config(sampling, sorted(stops), self.pad)

    def generate(
        self, prompts: Sequence[tuple[int, ...]], seed: int
    ) -> list[tuple[Generated, ...]]:
        """n responses to each prompt; see `Generator.generate`."""
        found: list[list[Generated]] = [[] for _ in prompts]
        lengths = [len(prompt) for prompt in prompts]
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            for batch in batches(lengths, self.sampling, self.batch_tokens):
                drawn = self._drawn([prompts[at] for at in batch])
                for at, one in zip(batch, drawn, strict=True):
                    found[at].append(one)
        return [tuple(one) for one in found]

    @torch.inference_mode()
    def _drawn(self, rows: Sequence[tuple[int, ...]]) -> list[Generated]:
        """One response to each row."""
        longest = max(map(len, rows))
        padded = [[self.pad] * (longest - len(row)) + list(row) for row in rows]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
        tokens = torch.tensor(padded, device=self.model.device)
        generate: Any = self.model.generate
        try:
            whole = generate(
                input_ids=tokens,
                attention_mask=torch.tensor(mask, device=self.model.device),
                logits_processor=[_check_finite],
            )
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise self._too_large(rows) from error
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):  # how torch says it of a CPU
                raise
            raise self._too_large(rows) from error
        return [self._cut(row) for row in whole[:, longest:].tolist()]

    def _too_large(self, rows: Sequence[tuple[int, ...]]) -> ModelError:
        return ModelError(
            f"not enough memory for {len(rows)} responses at once: give a smaller "
            "--sample-batch-tokens, or --dtype bf16"
        )

    def _cut(self, row: list[int]) -> Generated:
        """What stands before the first token that ends a response."""
        end = next((at for at, token in enumerate(row) if token in self.stops), None)
        return Generated(tuple(row[:end]), finished=end is not None)
