"""How far a policy has moved from the reference policy, where the policy itself writes.

Of each response the mean, over its tokens and the end of its turn where it has ended it, of the
divergence KL(policy || reference) of what comes next, over the whole vocabulary (nats a token; see
`engines.divergence`). A response is rendered by the policy's own chat template and tokenised as a
text: where the policy drew other tokens for the same text, these are not the ones that are read.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, final

from flr import models, runs
from flr.comparison.asking import Place, Said
from flr.comparison.rewards import Prompts
from flr.engines.divergence import Divergence
from flr.errors import OptionError, RenderError
from flr.filling import Progress, block_key, fill
from flr.loading import Parts, prepare_sets
from flr.measuring import SKIP_ALL, Wanted
from flr.options import ModelOptions
from flr.runs import Store
from flr.starting import load_weights
from flr.types import Conversation, Message
from flr.workers import work_through


@final
@dataclass(frozen=True, slots=True)
class Written:
    """A response, and whether its end is the policy's own."""

    conversation: Conversation
    finished: bool

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The one."""
        return (self.conversation,)


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """A block that was measured.

    Args:
        means: of each response, nats a token; None where it cannot be had.
        tokens_run: tokens that went through both models.
        seconds: that it took.
    """

    means: Sequence[float | None]
    tokens_run: int
    seconds: float

    def as_plain(self) -> dict[str, Any]:
        """In the form of the store: plain data."""
        return asdict(self)


def _moved(pair: Divergence, parts: Parts, block: Sequence[Written]) -> Moved:
    """Measures one block; responses that the template rewrites, or that are too long, are None."""
    begun, run = time.perf_counter(), 0
    means: list[float | None] = []
    for one in block:
        try:
            (row,) = parts.renderer.response(one.conversation).rows
        except RenderError:
            means.append(None)
            continue
        # After its last token a response that has ended is followed by the end of its turn.
        found = pair.after(row.tokens, row.start, row.stop + one.finished)
        means.append(sum(found) / len(found) if found else None)
        run += 2 * row.stop
    return Moved(means, run, time.perf_counter() - begun)


def _start(options: ModelOptions, parts: Parts, reference: Parts) -> partial[Moved]:
    pair = Divergence(load_weights(options, parts.source), load_weights(options, reference.source))
    return partial(_moved, pair, parts)


@final
class DivergencePass:
    """One policy's going over its own responses, beside the reference policy.

    Args:
        options: of the policy as a model that measures.
        reference: of the reference policy, likewise.
        workers: number of processes; None for one a GPU, or one on CPU.

    Raises:
        OptionError: the two have not one vocabulary.
    """

    def __init__(
        self, options: ModelOptions, reference: ModelOptions, workers: int | None = None
    ) -> None:
        self.options, self.workers = options, workers
        self.parts, self.reference = (
            prepare_sets(one, (), Wanted(response=True), SKIP_ALL) for one in (options, reference)
        )
        self._check_vocabularies()
        self.fingerprint: Mapping[str, Any] = {
            **self.parts.fingerprint,
            "wanted": "divergence",
            "reference": self.reference.source.identity,
        }

    def _check_vocabularies(self) -> None:
        vocabularies: list[Any] = []
        for parts in (self.parts, self.reference):
            tokenizer: Any = parts.renderer.template.tokenizer
            trusted = self.options.trust_remote_code
            config = models.load_config(parts.source, trust_remote_code=trusted)
            vocabularies.append([config.vocab_size, tokenizer.get_vocab()])
        if vocabularies[0] != vocabularies[1]:
            raise OptionError(
                f"{self.parts.source.name} and {self.reference.source.name} have not one "
                "vocabulary, so there is no divergence between them"
            )

    def blocks(self, prompts: Prompts, said: Mapping[Place, Said]) -> list[list[Written]]:
        """The responses in blocks, in the order of their places."""
        written = [
            Written(
                Conversation((*prompts[place[0]], Message("assistant", said[place].text))),
                said[place].finished,
            )
            for place in sorted(said)
        ]
        return list(runs.blocks(written))

    def measure(self, blocks: Sequence[Sequence[Written]]) -> Iterator[tuple[int, Moved]]:
        """Measures blocks, in any order; see `flr.workers`."""
        start = partial(_start, parts=self.parts, reference=self.reference)
        yield from work_through(blocks, self.options, start, self.workers)

    def fill(self, store: Store, blocks: Sequence[Sequence[Written]], progress: Progress) -> int:
        """Measures the blocks that the store lacks; returns how many those were."""
        return fill(store, blocks, self.fingerprint, self.measure, progress)

    def found(
        self, store: Store, blocks: Sequence[Sequence[Written]], said: Mapping[Place, Said]
    ) -> dict[Place, float]:
        """The divergence of each response that has one, nats a token.

        Args:
            store: holds the blocks.
            blocks: of `said`.
            said: the responses.
        """
        done = [store[block_key(block, self.fingerprint)]["means"] for block in blocks]
        means = [mean for block in done for mean in block]
        return {
            place: mean for place, mean in zip(sorted(said), means, strict=True) if mean is not None
        }
