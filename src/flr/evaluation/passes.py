"""What the models of a benchmark are asked: each goes over the data once, resumable by block.

A pass turns an item into conversations and measures them. The follow-up model's one pass serves
every `flr` reward and the response's own likelihood; a judge is asked about pairs of responses by
the same means, since its verdict is the likelihood of one letter or the other.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

from flr.blocks import Finished, finished, measure_blocks
from flr.chat import Renderer
from flr.datasets.base import Item
from flr.engines.base import Tally
from flr.engines.classifier import Classifier
from flr.errors import RenderError
from flr.filling import Progress, fill
from flr.loading import Parts, make_classifier, prepare_sets
from flr.measuring import SKIP_ALL, Measured, Skipped, Values, Wanted
from flr.options import ModelOptions
from flr.runs import Store
from flr.types import Conversation, FollowUpSet
from flr.workers import Block

Found = Sequence[Measured | Skipped]
"""What a pass found out about an item, one entry a conversation that it asked about."""


class Pass(ABC):
    """One model's going over the items."""

    fingerprint: Mapping[str, Any]
    """Everything but the items that changes the bits of what it finds."""
    of_responses: bool = True
    """Whether it asks about the item's own conversations, one by one in their order."""
    batches: bool = True
    """Whether the company in which a conversation is measured may change its bits."""

    @abstractmethod
    def asks(self, item: Item) -> tuple[Conversation, ...]:
        """The conversations that it asks about."""

    @abstractmethod
    def measure(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Finished]]:
        """Measures blocks, in any order; loads no model where there is no block."""

    def work(self, blocks: Sequence[Sequence[Item]]) -> list[Block]:
        """The conversations of each block of items."""
        return [[asked for item in block for asked in self.asks(item)] for block in blocks]

    def fill(self, store: Store, blocks: Sequence[Sequence[Item]], progress: Progress) -> int:
        """Measures the blocks that the store lacks; returns how many those were."""
        return fill(store, self.work(blocks), self.fingerprint, self.measure, progress)

    def found(self, store: Store, block: Sequence[Item]) -> tuple[list[Found], Finished]:
        """What was found out about each item of a block that was measured, and the block's work."""
        asked = [self.asks(item) for item in block]
        done = finished(store, [one for of_item in asked for one in of_item], self.fingerprint)
        answers = iter(done.responses)
        return [[next(answers) for _ in of_item] for of_item in asked], done


@final
class ModelPass(Pass):
    """A causal language model's pass.

    Args:
        options: how the model is loaded.
        followup_sets: what the user may say next; may be empty.
        wanted: what is asked about each conversation.
        workers: number of processes; None for one a GPU, or one on CPU.
        asks: the conversations that it asks about in place of the item's own.
    """

    def __init__(
        self,
        options: ModelOptions,
        followup_sets: Sequence[FollowUpSet],
        wanted: Wanted,
        workers: int | None = None,
        asks: Callable[[Item], tuple[Conversation, ...]] | None = None,
    ) -> None:
        self.options, self.workers, self._asks = options, workers, asks
        self.of_responses = asks is None
        # A benchmark's rows are nobody's to mend: what a template cannot take is left out, counted.
        self.parts: Parts = prepare_sets(options, followup_sets, wanted, SKIP_ALL)
        self.fingerprint = self.parts.fingerprint

    def asks(self, item: Item) -> tuple[Conversation, ...]:
        """The conversations that it asks about."""
        return self._asks(item) if self._asks else item.conversations

    def measure(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Finished]]:
        """Measures blocks, in any order; see `flr.workers`."""
        return measure_blocks(blocks, self.options, self.parts, self.workers)


@final
class ClassifierPass(Pass):
    """A sequence-classification reward model's pass, in this process, row by row.

    Args:
        options: which model, and how it is loaded.
    """

    batches = False

    def __init__(self, options: ModelOptions) -> None:
        self.options = options
        self.parts = prepare_sets(options, (), Wanted(response=True), SKIP_ALL)
        self.fingerprint = {**self.parts.fingerprint, "wanted": "classifier"}

    def asks(self, item: Item) -> tuple[Conversation, ...]:
        """The conversations that it asks about."""
        return item.conversations

    def measure(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Finished]]:
        """Measures blocks one after the other."""
        if not blocks:
            return
        classifier = make_classifier(self.options, self.parts)
        for index, block in enumerate(blocks):
            yield index, _classified(classifier, self.parts.renderer, block)


def _classified(classifier: Classifier, renderer: Renderer, block: Block) -> Finished:
    begun, tally = time.perf_counter(), Tally()
    measured = [_scored(classifier, renderer, one, tally) for one in block]
    return Finished(measured, tally, "classifier", time.perf_counter() - begun)


def _scored(
    classifier: Classifier, renderer: Renderer, conversation: Conversation, tally: Tally
) -> Measured | Skipped:
    try:
        made = renderer.response(conversation)
    except RenderError as error:
        return Skipped(str(error))
    (row,) = made.rows
    (score,) = classifier.scores([row.tokens])
    tally.add("classifier", 1, len(row.tokens), len(row.tokens))
    return Measured(logits=Values((score,), (len(row.tokens),)), dropped=made.dropped)
