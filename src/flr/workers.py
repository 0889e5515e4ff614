"""Measures blocks of conversations, in this process or shared out among several.

Each process has a model of its own, on a GPU of its own where there are GPUs, and takes one block
after the other. Blocks are the same however many processes there are, so the results are the same
bytes wherever each process has the same number of threads.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import wait as wait_for
from typing import Any, TypeVar, final

import torch

from flr.engines.base import Tally
from flr.errors import FlrError, UserError
from flr.loading import THREADS, Parts, make_measurer
from flr.measuring import Measured, Measurer, Skipped, Values
from flr.options import ModelOptions
from flr.types import Conversation


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


def measure_blocks(
    blocks: Sequence[Sequence[Conversation]],
    options: ModelOptions,
    parts: Parts,
    workers: int | None = None,
) -> Iterator[tuple[int, Finished]]:
    """Measures blocks, in any order; loads no model where there is no block.

    Args:
        blocks: conversations that belong into one call of the engine.
        options: how the model is loaded.
        parts: what is known of them already.
        workers: number of processes; None for one a GPU, or one on CPU.

    Yields:
        Index and result of each block, as it is finished.

    Raises:
        UserError: a worker died, most often for want of memory.
    """
    workers = min(workers or default_workers(options), len(blocks))
    if workers > 1:
        yield from _shared_out(blocks, options, parts, workers)
    elif blocks:
        measurer = make_measurer(options, parts)
        for index, block in enumerate(blocks):
            yield index, measure(measurer, block)


def default_workers(options: ModelOptions) -> int:
    """One process a GPU, unless the options bind the model to a device; one on CPU."""
    bound = options.device or options.device_map
    return 1 if bound else max(1, torch.cuda.device_count())


Some = TypeVar("Some", bound=ModelOptions)


def divided(options: Some, workers: int | None) -> Some:
    """The options with the cores divided among the workers, unless they say a number of threads."""
    each = max(1, THREADS // (workers or default_workers(options)))
    return replace(options, threads=options.threads or each)


def measure(measurer: Measurer, block: Sequence[Conversation]) -> Finished:
    """Measures one block."""
    measurer.engine.tally = Tally()
    begun = time.perf_counter()
    responses = measurer.measure(block)
    seconds = time.perf_counter() - begun
    return Finished(responses, measurer.engine.tally, measurer.engine.describe(), seconds)


def _shared_out(
    blocks: Sequence[Sequence[Conversation]], options: ModelOptions, parts: Parts, workers: int
) -> Iterator[tuple[int, Finished]]:
    """The blocks, each to the first process that is free."""
    context = multiprocessing.get_context("spawn")
    turn = context.Value("i", 0)
    with ProcessPoolExecutor(workers, context, _start, (options, parts, turn)) as pool:
        waiting: dict[Future[Finished], int] = {}
        queue = enumerate(blocks)
        try:
            while True:
                # Two a worker: none ever waits for work, and no more than that is in flight.
                while len(waiting) < 2 * workers and (following := next(queue, None)):
                    waiting[pool.submit(_measure, following[1])] = following[0]
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process died, most often because memory ran out: take fewer --workers or "
                "a smaller --batch-tokens and give the same command again; finished blocks are kept"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_measurer: Measurer | FlrError | None = None
"""The measurer of a worker process, or why there is none."""


def _start(options: ModelOptions, parts: Parts, turn: Any) -> None:
    """Makes a worker's measurer, on the next device."""
    global _measurer
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with turn.get_lock():
        number = turn.value
        turn.value += 1
    if torch.cuda.is_available() and options.device is None:
        options = replace(options, device=f"cuda:{number % torch.cuda.device_count()}")
    try:
        _measurer = make_measurer(options, parts)
    except FlrError as error:
        _measurer = error


def _die_with_parent() -> None:
    """Ends this process when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait_for([parent.sentinel])
    os._exit(1)


def _measure(block: Sequence[Conversation]) -> Finished:
    assert _measurer is not None, "a worker is started before it measures"
    if isinstance(_measurer, FlrError):
        raise _measurer
    return measure(_measurer, block)
