"""What passes found out about an item, without what one of them could not be asked about.

All rewards see the same responses, so that their differences are of the rewards alone: what one
pass skipped is left out for all, with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flr.datasets.base import Dataset, Item
from flr.evaluation.arms import Arm, Valued
from flr.evaluation.passes import Found, Pass
from flr.measuring import Measured, Skipped


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What no reward was computed of: a response, or (empty place) a whole item."""

    item: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An item with what each pass found out about it; without the responses that were skipped.

    Args:
        item: its responses that are left.
        kept: their indices in the whole item.
        found: by pass; of a pass that asks about the responses themselves only those left.
        whole: the whole item, for passes that ask otherwise.
    """

    item: Item
    kept: Sequence[int]
    found: Mapping[str, Sequence[Measured]]
    whole: Item

    def valued(self, arm: Arm, passes: Mapping[str, Pass]) -> Valued:
        """A reward of the responses that are left."""
        found = [self.found[name] for name in arm.passes]
        if all(passes[name].of_responses for name in arm.passes):
            return arm.value(self.item, found)
        valued = arm.value(self.whole, found)
        return Valued(valued.values[list(self.kept)])


def _skipped(found: Mapping[str, Found], passes: Mapping[str, Pass]) -> dict[int | None, str]:
    """Responses that were skipped, with the reason; None for the item as a whole."""
    skipped: dict[int | None, str] = {}
    for name, answers in found.items():
        for at, one in enumerate(answers):
            if isinstance(one, Skipped):
                skipped.setdefault(at if passes[name].of_responses else None, one.reason)
    return skipped


def answered(
    dataset: Dataset, item: Item, found: Mapping[str, Found], passes: Mapping[str, Pass]
) -> tuple[Answered | None, list[LeftOut]]:
    """What is left of an item, and what is not.

    Args:
        dataset: whose item it is.
        item: as it was asked about.
        found: what each pass found out about it.
        passes: by name.

    Returns:
        The responses that no pass skipped, and those that one did. None and the item as a whole
        where nothing is left, where a pass that asks otherwise skipped something, and in pairwise
        sets, where a comparison needs all.
    """
    skipped = _skipped(found, passes)
    kept = [at for at in range(len(item.labels)) if at not in skipped]
    if skipped and (None in skipped or not kept or dataset.kind == "pairwise"):
        return None, [LeftOut(item.id, "", next(iter(skipped.values())))]
    left = replace(
        item,
        conversations=tuple(item.conversations[at] for at in kept),
        labels=tuple(item.labels[at] for at in kept),
        systems=tuple(item.systems[at] for at in kept if item.systems),
    )
    usable = {
        name: [
            one
            for at, one in enumerate(answers)
            if isinstance(one, Measured) and not (passes[name].of_responses and at in skipped)
        ]
        for name, answers in found.items()
    }
    lost = [(f"response {at + 1}", why) for at, why in skipped.items() if at is not None]
    return Answered(left, kept, usable, item), [LeftOut(item.id, *one) for one in lost]
