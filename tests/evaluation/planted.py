"""Small sets of each kind, written for the tests, and what belongs to them."""

from typing import Any

from flr.datasets.base import Dataset, Item
from flr.types import Conversation

PROMPTS = ("Name a prime.", "Say hello.", "What is 2 + 2?", "Name a colour.", "Spell cat.")
GOOD = ("7 is a prime.", "Hello!", "It is 4.", "Blue, for example.", "c, a, t")
BAD = ("8 is one.", "No.", "It is 5, I think, or 6.", "Seven.", "k, a, t")


def item(at: int, *texts: str, labels: tuple[float, ...], **given: Any) -> Item:
    """An item of the prompt of this number."""
    conversations = tuple(Conversation.of(PROMPTS[at], text) for text in texts)
    return Item(f"set:{at}", PROMPTS[at], conversations, labels, **given)


def pairs(count: int = 5) -> Dataset:
    """Pairs, the preferred response first."""
    items = [
        item(at, GOOD[at], BAD[at], labels=(1.0, 0.0), subset="xy"[at % 2]) for at in range(count)
    ]
    return Dataset("pairs", "pairwise", tuple(items), "written here")


def singles() -> Dataset:
    """Ratings, some prompts with one response and some with two."""
    items = [
        item(at, GOOD[at], BAD[at], labels=(4.0, at / 2.0))
        if at % 2
        else item(at, GOOD[at], labels=(3.0 + at / 4,))
        for at in range(5)
    ]
    return Dataset("ratings", "rating", tuple(items), "written here")
