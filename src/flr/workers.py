"""Works on blocks of conversations, in this process or shared out among several, or over a cluster.

Each process has a model of its own, on a GPU of its own where there are GPUs, and takes one block
after the other. Blocks are the same however many processes there are, so the results are the same
bytes wherever each process has the same number of threads.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait as wait_for
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from flr import on_ray
from flr.devices import THREADS
from flr.errors import FlrError, UserError
from flr.options import MachineOptions, cluster_of

Block = Sequence[Any]
"""Conversations or prompts (dataclasses) that are worked on together."""


@runtime_checkable
class Result(Protocol):
    """What is found out about a block."""

    @property
    def tokens_run(self) -> int:
        """Tokens that went through the model."""
        ...

    def as_plain(self) -> dict[str, Any]:
        """In the form of the store: plain data."""
        ...


Some = TypeVar("Some", bound=MachineOptions)
Found = TypeVar("Found", bound=Result)

Start = Callable[[Some], Callable[[Block], Found]]
"""Loads a model as the options say, and gives what works on one block with it."""


def work_through(
    blocks: Sequence[Block], options: Some, start: Start[Some, Found], workers: int | None = None
) -> Iterator[tuple[int, Found]]:
    """Works on blocks, in any order; loads no model where there is no block.

    Args:
        blocks: each for one call.
        options: how the model is loaded.
        start: can be pickled; called once in each process.
        workers: number of processes; None for one a GPU, or one on CPU.

    Yields:
        Index and result of each block, as it is finished.

    Raises:
        UserError: a worker died, most often for want of memory; no Ray cluster, where one is named.
    """
    cluster = cluster_of(options)
    if cluster:
        yield from on_ray.work_through(cluster, blocks, options, start, workers)
        return
    workers = min(workers or default_workers(options), len(blocks))
    if workers > 1:
        yield from _shared_out(blocks, options, start, workers)
    elif blocks:
        work = start(options)
        for index, block in enumerate(blocks):
            yield index, work(block)


def default_workers(options: MachineOptions) -> int:
    """One process a GPU, unless the options bind the model to a device; one on CPU."""
    return 1 if options.in_one_process else max(1, torch.cuda.device_count())


def divided(options: Some, workers: int | None) -> Some:
    """The options with the cores divided among the workers, unless they say a number of threads."""
    each = max(1, THREADS // (workers or default_workers(options)))
    return replace(options, threads=options.threads or each)


def _shared_out(
    blocks: Sequence[Block], options: Some, start: Start[Some, Found], workers: int
) -> Iterator[tuple[int, Found]]:
    """The blocks, each to the first process that is free."""
    context = multiprocessing.get_context("spawn")
    turn = context.Value("i", 0)
    with ProcessPoolExecutor(workers, context, _start, (options, start, turn)) as pool:
        waiting: dict[Future[Any], int] = {}
        queue = enumerate(blocks)
        try:
            while True:
                # Two a worker: none ever waits for work, and no more than that is in flight.
                while len(waiting) < 2 * workers and (following := next(queue, None)):
                    waiting[pool.submit(_work, following[1])] = following[0]
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


_working: Callable[[Block], Any] | FlrError | None = None
"""What a worker process works with, or why it cannot."""


def _start(options: Any, start: Callable[..., Any], turn: Any) -> None:
    """Loads a worker's model, on the next device."""
    global _working
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with turn.get_lock():
        number = turn.value
        turn.value += 1
    if torch.cuda.is_available() and options.device is None:
        options = replace(options, device=f"cuda:{number % torch.cuda.device_count()}")
    try:
        _working = start(options)
    except FlrError as error:
        _working = error


def _die_with_parent() -> None:
    """Ends this process when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait_for([parent.sentinel])
    os._exit(1)


def _work(block: Block) -> Any:
    assert _working is not None, "a worker is started before it works"
    if isinstance(_working, FlrError):
        raise _working
    return _working(block)
