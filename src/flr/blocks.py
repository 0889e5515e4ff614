"""Blocks of conversations, measured: their form in the run store, and what measures them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, final

from flr.engines.base import Tally
from flr.filling import block_key
from flr.loading import Parts, make_measurer
from flr.measuring import Measured, Measurer, Skipped, Values
from flr.options import ModelOptions
from flr.runs import Store
from flr.types import Conversation
from flr.workers import work_through


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """A measured block.

    Args:
        responses: one entry a conversation, in order.
        tally: the engine's work for it.
        path: which path the engine takes, and why.
        seconds: that it took.
    """

    responses: Sequence[Measured | Skipped]
    tally: Tally
    path: str
    seconds: float

    @property
    def tokens_run(self) -> int:
        """Tokens that went through the model."""
        return self.tally.tokens_run

    def as_plain(self) -> dict[str, Any]:
        """In the form of the store: plain data."""
        return {
            "responses": [asdict(one) for one in self.responses],
            "tally": asdict(self.tally),
            "path": self.path,
            "seconds": self.seconds,
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Finished":
        """Back from the form of the store."""
        responses = [
            Skipped(**one) if "reason" in one else _measured(one) for one in plain["responses"]
        ]
        return cls(responses, Tally(**plain["tally"]), plain["path"], plain["seconds"])


def _measured(plain: dict[str, Any]) -> Measured:
    values = {
        name: Values(tuple(one["values"]), tuple(one["tokens"]))
        for name, one in plain.items()
        if isinstance(one, dict)
    }
    return Measured(**{**plain, **values})


def measure(measurer: Measurer, block: Sequence[Conversation]) -> Finished:
    """Measures one block."""
    measurer.engine.tally = Tally()
    begun = time.perf_counter()
    responses = measurer.measure(block)
    seconds = time.perf_counter() - begun
    return Finished(responses, measurer.engine.tally, measurer.engine.describe(), seconds)


def _start(options: ModelOptions, parts: Parts) -> partial[Finished]:
    return partial(measure, make_measurer(options, parts))


def measure_blocks(
    blocks: Sequence[Sequence[Conversation]],
    options: ModelOptions,
    parts: Parts,
    workers: int | None = None,
) -> Iterator[tuple[int, Finished]]:
    """Measures blocks, in any order; see `flr.workers.work_through`.

    Args:
        blocks: conversations that belong into one call of the engine.
        options: how the model is loaded.
        parts: what is known of it already.
        workers: number of processes; None for one a GPU, or one on CPU.

    Yields:
        Index and result of each block, as it is finished.
    """
    yield from work_through(blocks, options, partial(_start, parts=parts), workers)


def finished(
    store: Store, block: Sequence[Conversation], fingerprint: Mapping[str, Any]
) -> Finished:
    """A block that was measured."""
    return Finished.of_plain(store[block_key(block, fingerprint)])
