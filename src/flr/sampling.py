"""Samples responses: from prompts to texts, block by block.

    prompts -> token rows (`prompting`) -> tokens (`generators`) -> texts

Which rows of a file are sampled is `sample_file`'s; where a policy comes from is `policies`'s.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, final

from flr.filling import block_key
from flr.generators.base import Generated, Generator
from flr.policies import PolicyParts, SamplerOptions, make_generator
from flr.runs import Store
from flr.types import Message
from flr.workers import work_through

FinishReason = Literal["stop", "length"]


@final
@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a file.

    Args:
        number: of its row, from 1; two equal prompts in two rows are two prompts.
        messages: at least one, of which the last is not the assistant's.
    """

    number: int
    messages: tuple[Message, ...]


@final
@dataclass(frozen=True, slots=True)
class Sampled:
    """The responses to one prompt, in the order in which they were drawn.

    Args:
        responses: their texts.
        finish_reasons: `stop` where the policy ended its turn, `length` where it was cut off.
        tokens: length of each, tokens.
        dropped: how many of the prompt's oldest messages were left out to fit the policy.
    """

    responses: tuple[str, ...]
    finish_reasons: tuple[FinishReason, ...]
    tokens: tuple[int, ...]
    dropped: int


@final
@dataclass(frozen=True, slots=True)
class SampledBlock:
    """A block that was sampled.

    Args:
        prompts: one entry a prompt, in order.
        seconds: that it took.
    """

    prompts: Sequence[Sampled]
    seconds: float

    @property
    def tokens_run(self) -> int:
        """Tokens that were written."""
        return sum(sum(one.tokens) for one in self.prompts)

    def as_plain(self) -> dict[str, Any]:
        """In the form of the store: plain data."""
        return {"prompts": [asdict(one) for one in self.prompts], "seconds": self.seconds}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "SampledBlock":
        """Back from the form of the store."""
        prompts = [
            Sampled(
                tuple(one["responses"]),
                tuple(one["finish_reasons"]),
                tuple(one["tokens"]),
                one["dropped"],
            )
            for one in plain["prompts"]
        ]
        return cls(prompts, plain["seconds"])


def seed_of(block: Sequence[Prompt], seed: int) -> int:
    """The seed of a block: of the run's, and of the place of its first row."""
    digest = hashlib.sha256(f"{seed}\n{block[0].number}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _sampled(parts: PolicyParts, drawn: Sequence[Generated], dropped: int) -> Sampled:
    return Sampled(
        tuple(parts.text(one.tokens) for one in drawn),
        tuple("stop" if one.finished else "length" for one in drawn),
        tuple(len(one.tokens) for one in drawn),
        dropped,
    )


def sample(
    generator: Generator, block: Sequence[Prompt], *, parts: PolicyParts, seed: int
) -> SampledBlock:
    """Draws the responses of one block.

    Args:
        generator: of the policy.
        block: prompts that fit the policy.
        parts: what is known of the policy.
        seed: of the run.
    """
    begun = time.perf_counter()
    rows = [parts.prompter.row(prompt.messages) for prompt in block]
    drawn = generator.generate([row.tokens for row in rows], seed_of(block, seed))
    sampled = [_sampled(parts, of, row.dropped) for of, row in zip(drawn, rows, strict=True)]
    return SampledBlock(sampled, time.perf_counter() - begun)


def _start(options: SamplerOptions, parts: PolicyParts) -> partial[SampledBlock]:
    return partial(sample, make_generator(options, parts), parts=parts, seed=options.seed)


def sample_blocks(
    blocks: Sequence[Sequence[Prompt]],
    options: SamplerOptions,
    parts: PolicyParts,
    workers: int | None = None,
) -> Iterator[tuple[int, SampledBlock]]:
    """Samples blocks, in any order; see `flr.workers.work_through`.

    Args:
        blocks: prompts that are drawn together.
        options: how the policy is loaded, and how responses are drawn.
        parts: what is known of it already.
        workers: number of processes; None for one a GPU, or one on CPU.

    Yields:
        Index and result of each block, as it is finished.
    """
    yield from work_through(blocks, options, partial(_start, parts=parts), workers)


def sampled(store: Store, block: Sequence[Prompt], fingerprint: Mapping[str, Any]) -> SampledBlock:
    """A block that was sampled."""
    return SampledBlock.of_plain(store[block_key(block, fingerprint)])
