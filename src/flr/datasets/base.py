"""What a benchmark is made of: items, each a prompt with responses and what people said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flr.types import Conversation

Kind = Literal["pairwise", "rating", "ranking"]
"""People said which response is better; how good each is; or how good whole systems are."""


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt, its responses, and what people said of each.

    Args:
        id: name of the item, unique within its set.
        group: items of one group are about one prompt and are resampled together.
        conversations: one a response; all answer the same prompt, but for a few pairs of hh-rlhf
            whose transcripts part before their last turns.
        labels: one a response. pairwise: 1 for a preferred response, 0 for another, the preferred
            first; rating: the rating; ranking: the system's Elo number.
        subset: the part of the set that the item belongs to; empty where there are no parts.
        systems: who wrote each response; empty where the set does not say (`ranking` always does).
        position: pairwise, where the preferred response stood in the file, from 1; None where the
            file puts it at a fixed place.
    """

    id: str
    group: str
    conversations: tuple[Conversation, ...]
    labels: tuple[float, ...]
    subset: str = ""
    systems: tuple[str, ...] = ()
    position: int | None = None

    def __post_init__(self) -> None:
        assert self.conversations, f"{self.id}: an item has responses"
        assert len(self.labels) == len(self.conversations), f"{self.id}: one label a response"
        assert len(self.systems) in (0, len(self.labels)), f"{self.id}: one system a response"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything of a set that can be used, and the count of what cannot.

    Args:
        name: as on the command line.
        kind: see `Kind`.
        items: at least one.
        source: where it was read: hub id with split, or files.
        files: sha256 of every local file that was read, by its path below the data folder.
        left_out: number of rows that cannot be used, by reason (`chosen equals rejected`, `tie`).
        sections: for sets whose own overall figure weighs subsets: weight of each subset in each
            section; empty for others.
    """

    name: str
    kind: Kind
    items: tuple[Item, ...]
    source: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    sections: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict[str, Mapping[str, float]]
    )
