"""Rows of a data set on the Hugging Face hub. Slow to import: only `io` does it, when it must."""

from collections.abc import Iterator
from typing import Any

import datasets
from datasets import config as settings

from flr.errors import InputError, OptionError, Problem, did_you_mean

REACH_HINT = (
    "Check the id and the network (a private data set needs `hf auth login`), "
    "or download the data set and name its file."
)


def _one_split(source: str, split: str | None, known: list[str]) -> str:
    listed = ", ".join(known)
    if split is None and len(known) != 1:
        raise OptionError(f"{source} has the splits {listed}; choose one with --split.")
    if split is not None and split not in known:
        advice = did_you_mean(split, known)
        raise OptionError(f"{source} has no split {split!r}; its splits are {listed}.{advice}")
    return known[0] if split is None else split


def rows(
    source: str, split: str | None, limit: int | None, data_dir: str | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of one split of a data set.

    Args:
        source: `owner/name`, or `owner/name:config`.
        split: name of the split; None where there is only one.
        limit: how many rows will be asked for; with a limit they are streamed.
        data_dir: folder of the data set on the hub that holds what is meant; None for all of it.

    Yields:
        The columns of each row.

    Raises:
        InputError: the data set cannot be reached or read.
        OptionError: there is no such split, or several and none was named.
    """
    name, _, config = source.partition(":")
    # What is on this machine already cannot be streamed without the network.
    streaming = limit is not None and not settings.HF_HUB_OFFLINE
    try:
        known = datasets.get_dataset_split_names(name, config or None, data_dir=data_dir)
        chosen = _one_split(source, split, known)
        found = datasets.load_dataset(
            name, config or None, data_dir=data_dir, split=chosen, streaming=streaming
        )
        yield from (dict(row) for row in found)
    except OptionError:
        raise
    except Exception as error:  # the boundary: requests, files and formats fail in many ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        problem = Problem(None, "", f"cannot be read from the Hugging Face hub: {reason}")
        raise InputError(source, [problem], REACH_HINT) from error
