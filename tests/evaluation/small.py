"""Small data sets of each kind, and rewards planted in them."""

from collections.abc import Callable, Sequence

import numpy as np

from flr.datasets.base import Dataset, Item
from flr.evaluation.figures import Column
from flr.types import Conversation


def answers(lengths: Sequence[int]) -> tuple[Conversation, ...]:
    """Responses of these lengths to one prompt."""
    return tuple(Conversation.of("Why? 🎉", "x" * length) for length in lengths)


def pairs(rows: Sequence[tuple[int, int]], **of_item: Sequence) -> Dataset:
    """Pairs whose preferred and other response have these lengths.

    Args:
        rows: length of the preferred and of the other response, an item.
        of_item: other fields of the items (`group`, `subset`, `position`), one value an item.
    """
    items = tuple(
        Item(
            f"i{at}",
            conversations=answers(row),
            labels=(1.0, 0.0),
            **{"group": f"g{at}", **{name: each[at] for name, each in of_item.items()}},
        )
        for at, row in enumerate(rows)
    )
    return Dataset("small", "pairwise", items, "by hand", {"a.json": "0f"}, {"tie": 2})


def rated(rows: Sequence[Sequence[tuple[int, float]]]) -> Dataset:
    """Prompts with responses of these lengths and ratings."""
    items = tuple(
        Item(f"i{at}", f"g{at}", answers([n for n, _ in row]), tuple(r for _, r in row))
        for at, row in enumerate(rows)
    )
    return Dataset("small", "rating", items, "by hand")


def systems(elo: dict[str, float], prompts: int) -> Dataset:
    """Prompts that every system answers; the longer the later a system stands."""
    items = tuple(
        Item(
            f"i{at}",
            f"g{at}",
            answers([at + 10 * place for place in range(len(elo))]),
            tuple(elo.values()),
            systems=tuple(elo),
        )
        for at in range(prompts)
    )
    return Dataset("small", "ranking", items, "by hand")


def planted(dataset: Dataset, of: Callable[[np.ndarray], np.ndarray]) -> Column:
    """The reward that a function makes of an item's labels."""
    return Column([np.array(of(np.array(item.labels)), float) for item in dataset.items])
