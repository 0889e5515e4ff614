"""Blocks shared out over a Ray cluster: Ray Data, with one model an actor.

A block goes to whichever actor is free, and comes back to the process that asked, to be kept in its
run store. Ray puts another actor in the place of one that died and gives it the block again; since
a block's results depend on the block alone, no row is lost or there twice.

Ray is an extra. All machines of a cluster need the same flr, and models under the same names.
"""

import logging
import os
import pickle
import re
import socket
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, final

from flr.errors import OptionError, UserError, missing_extra

RESTARTS = 10
"""How often an actor is replaced: enough for machines that are taken away, and an end where each
dies of the same block."""

SECONDS = 10.0
"""How long a cluster's address may take to answer."""

_inside = False


def is_inside() -> bool:
    """Whether this process is one of a cluster's, at work for a run."""
    return _inside


def ask(address: str, question: Callable[[Any], Any], given: Any) -> Any:
    """What a function answers on a machine where the work will be done.

    Raises:
        OptionError: Ray is not installed.
        UserError: no cluster at this address, or it cannot do the work.
    """
    ray = _cluster(address)
    gpus = 1 if any(_has(node, "GPU") for node in _nodes(ray)) else 0
    asked = ray.remote(num_cpus=0, num_gpus=gpus)(_answered)
    try:
        return ray.get(asked.remote(question, given))
    except ray.exceptions.RayError as error:
        raise UserError(f"--ray {address}: {_reason(error)}") from error


def _answered(question: Callable[[Any], Any], given: Any) -> Any:
    global _inside
    _inside = True
    return question(given)


def work_through(
    address: str,
    blocks: Sequence[Any],
    options: Any,
    start: Callable[[Any], Any],
    workers: int | None,
) -> Iterator[tuple[int, Any]]:
    """Works on blocks, in any order; see `flr.workers.work_through`.

    Args:
        address: of the cluster.
        blocks: each for one call.
        options: how the model is loaded.
        start: can be pickled; called once in each actor.
        workers: number of actors; None for one a GPU of the cluster, or one.

    Yields:
        Index and result of each block, as it is finished.

    Raises:
        OptionError: Ray is not installed; more actors than the cluster has room for.
        UserError: no cluster; it fails, or actors die again and again; what an actor raised.
    """
    if not blocks:
        return
    ray = _cluster(address)
    nodes = _nodes(ray)
    gpus = sum(_has(node, "GPU") for node in nodes)
    count = min(workers or gpus or 1, len(blocks))
    needs = {"num_gpus": 1} if gpus else {"num_cpus": options.threads or 1}
    _check_room(nodes, count, needs)
    data: Any = import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # the progress bar is ours
    context = data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a block may take its time
    items = [{"index": at, "block": pickle.dumps(block)} for at, block in enumerate(blocks)]
    results = _shared_out(data, items, count, needs, (options, start))
    try:
        for row in results.iter_rows():
            result = pickle.loads(row["result"])  # noqa: S301 - bytes of our own actors
            if isinstance(result, Exception):
                raise result
            yield int(row["index"]), result
    except ray.exceptions.RayError as error:
        raise UserError(
            f"--ray: the cluster does not get on ({_reason(error)}); finished blocks stay, give "
            "the same command again, with a smaller --batch-tokens where memory ran out"
        ) from error


def _shared_out(
    data: Any, items: Sequence[Any], count: int, needs: Mapping[str, int], given: tuple[Any, ...]
) -> Any:
    """The answers to items, one a Ray block, by actors that are made of what is given."""
    with warnings.catch_warnings():
        # How often an actor may be replaced has no other name up to Ray 2.63; else it is for ever.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        return data.from_items(items, override_num_blocks=len(items)).map_batches(
            Actor,
            fn_constructor_args=given,
            batch_size=1,
            compute=data.ActorPoolStrategy(size=count),
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
            **needs,
        )


def _cluster(address: str) -> Any:
    """Ray, connected to a cluster."""
    if find_spec("ray") is None:
        raise missing_extra("ray", "--ray", "'.[ray]' in a clone of flr")
    found = re.fullmatch(r"(?:ray://)?\[?([^/\]]+)\]?:([0-9]+)", address)
    try:
        if found:  # Ray itself would try for many minutes
            socket.create_connection((found[1], int(found[2])), SECONDS).close()
        # Below an error, what Ray's own processes tell is of no use to whoever scores a file.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        ray: Any = import_module("ray")
        if ray.is_initialized():
            return ray
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        reason = _reason(error)
        raise UserError(f"--ray {address}: no Ray cluster can be used there ({reason})") from error
    return ray


def _reason(error: Exception) -> str:
    """What an error of Ray's says, without the traceback that it brings."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


def _nodes(ray: Any) -> list[Mapping[str, float]]:
    """What each machine of the cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _has(node: Mapping[str, float], resource: str) -> int:
    return int(node.get(resource, 0))


def _check_room(nodes: Sequence[Mapping[str, float]], count: int, needs: Mapping[str, int]) -> None:
    """Raises where actors would wait for ever."""
    ((name, each),) = needs.items()
    resource = name.removeprefix("num_").removesuffix("s").upper()
    room = sum(_has(node, resource) // each for node in nodes)
    if count > room:
        raise OptionError(
            f"--ray: {count} workers of {each} {resource} each, and the cluster has room for "
            f"{room}; take fewer --workers or --threads"
        )


@final
class Actor:
    """A model on one machine of the cluster.

    What goes wrong is a result, too: raised here, it would have Ray start the actor anew for ever.

    Args:
        options: how the model is loaded.
        start: loads it, and gives what works on a block.
    """

    def __init__(self, options: Any, start: Callable[[Any], Callable[[Any], Any]]) -> None:
        self._work = _tried(_answered, start, options)

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Works on the one block of a batch."""
        (block,) = batch["block"]
        found = self._work
        if not isinstance(found, Exception):
            found = _tried(lambda: found(pickle.loads(block)))  # noqa: S301 - of our own run
        return {"index": list(batch["index"]), "result": [pickle.dumps(found)]}


def _tried(work: Callable[..., Any], *given: Any) -> Any:
    """What work gives, or the error that it raises, with the place where it did."""
    try:
        return work(*given)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        except Exception:
            return RuntimeError(f"{error!r}\n{traceback.format_exc()}")
        return error
