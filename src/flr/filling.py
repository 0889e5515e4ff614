"""Fills a run store: measures the blocks of conversations that it lacks, and gives them back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flr.runs import Store, key_of
from flr.types import Conversation
from flr.workers import Finished

Block = Sequence[Conversation]
"""Conversations that are measured together."""

Progress = Callable[[int, int, int], None]
"""Told after each block: responses done, responses in all, tokens run for the block."""

Measure = Callable[[Sequence[Block]], Iterator[tuple[int, Finished]]]
"""Measures blocks, in any order: index and result of each."""


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
    measure: Measure,
    progress: Progress,
) -> int:
    """Measures every block that the store lacks.

    Args:
        store: keeps each block as soon as it is finished.
        blocks: of one run.
        fingerprint: everything but the conversations that changes the bits of the results.
        measure: measures blocks; asked for none where the store lacks none.
        progress: see `Progress`.

    Returns:
        How many blocks were measured.
    """
    keys = [block_key(block, fingerprint) for block in blocks]
    lacking = _missing(store, keys)
    total, left = sum(map(len, blocks)), sum(len(blocks[i]) for i in lacking)
    progress(total - left, total, 0)
    for at, finished in measure([blocks[i] for i in lacking]):
        store.put(keys[lacking[at]], finished.as_plain())
        left -= len(blocks[lacking[at]])
        progress(total - left, total, finished.tally.tokens_run)
    return len(lacking)


def finished(store: Store, block: Block, fingerprint: Mapping[str, Any]) -> Finished:
    """A block that was measured."""
    return Finished.of_plain(store[block_key(block, fingerprint)])
