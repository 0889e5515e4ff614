"""Follow-up sets for tests, in memory and in files."""

from dataclasses import replace
from pathlib import Path

from flr.types import FollowUp, FollowUpSet


def a_set(*texts: tuple[str, str, int], **weights: float) -> FollowUpSet:
    categories = dict.fromkeys(category for category, _, _ in texts)
    return FollowUpSet(
        "mine",
        "en",
        "",
        "",
        tuple(FollowUp(text, category, polarity) for category, text, polarity in texts),
        weights or dict.fromkeys(categories, 1.0),
    )


def weighted(followup_set: FollowUpSet, *weights: float) -> FollowUpSet:
    """The set with these weights of its follow-ups."""
    texts = zip(followup_set.followups, weights, strict=True)
    return replace(followup_set, followups=tuple(replace(f, weight=w) for f, w in texts))


def saved(folder: Path, text: str | bytes, name: str = "set.yaml") -> str:
    """The path of a new file with this text."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)
