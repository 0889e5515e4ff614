"""Fills a run store: lets the blocks that it lacks be worked on, and gives their results back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flr.runs import Store, key_of
from flr.workers import Block, Result

Progress = Callable[[int, int, int], None]
"""Told after each block: conversations done, conversations in all, tokens run for the block."""

ProgressOf = Callable[[str], Progress]
"""Gives the progress of a stage, by what it counts."""

Work = Callable[[Sequence[Block]], Iterator[tuple[int, Result]]]
"""Works on blocks, in any order: index and result of each."""


def block_key(block: Block, fingerprint: Mapping[str, Any]) -> str:
    """The key of a block: its content, and everything that changes the bits of its results."""
    return key_of({**fingerprint, "conversations": [asdict(one) for one in block]})


def _missing(store: Store, keys: Sequence[str]) -> list[int]:
    """Indices of the blocks that the store lacks, one for blocks of the same conversations."""
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    return sorted(i for key, i in first.items() if key not in store)


def fill(
    store: Store,
    blocks: Sequence[Block],
    fingerprint: Mapping[str, Any],
    work: Work,
    progress: Progress,
) -> int:
    """Works on every block that the store lacks.

    Args:
        store: keeps each block as soon as it is finished.
        blocks: of one run.
        fingerprint: everything but the conversations that changes the bits of the results.
        work: works on blocks; asked for none where the store lacks none.
        progress: see `Progress`.

    Returns:
        How many blocks were worked on.
    """
    keys = [block_key(block, fingerprint) for block in blocks]
    lacking = _missing(store, keys)
    total, left = sum(map(len, blocks)), sum(len(blocks[i]) for i in lacking)
    progress(total - left, total, 0)
    for at, result in work([blocks[i] for i in lacking]):
        store.put(keys[lacking[at]], result.as_plain())
        left -= len(blocks[lacking[at]])
        progress(total - left, total, result.tokens_run)
    return len(lacking)
