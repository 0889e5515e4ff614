"""From sets and rewards to columns: plans the blocks, measures them, makes the rewards of them.

    items -> blocks -> what the store lacks is measured, pass by pass -> a column a reward

What the columns say about a reward is the affair of `evaluate`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from flr import runs
from flr.blocks import Finished
from flr.datasets.base import Dataset, Item
from flr.errors import UserError
from flr.evaluation.answers import LeftOut, answered
from flr.evaluation.arms import Arm, Arms, Valued
from flr.evaluation.figures import Column
from flr.evaluation.passes import Found, Pass
from flr.filling import Progress
from flr.measuring import Measured, Skipped
from flr.runs import Store

FLOOR_ITEMS = 8
"""Items of a set that are measured a second time, each alone, for the noise floor."""

MOST_COMPARED = 10
"""Most responses of an item that are compared two by two; the questions grow with their square."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with one set.

    Args:
        dataset: all its items.
        arms: the rewards that it can have.
        not_computed: why it cannot have the others.
        blocks: its items.
        alone: items of the noise floor, each as a block; in `blocks` each of them has company.
    """

    dataset: Dataset
    arms: tuple[Arm, ...]
    not_computed: Mapping[str, str]
    blocks: Sequence[Sequence[Item]]
    alone: Sequence[Sequence[Item]]

    def blocks_of(self, name: str, one: Pass) -> list[Sequence[Item]]:
        """The blocks that a pass has to measure for this set."""
        if not any(name in arm.passes for arm in self.arms):
            return []
        return [*self.blocks, *(self.alone if one.batches else ())]


def _cannot_compare(items: Sequence[Item]) -> str:
    """Why the items' responses cannot be compared two by two; empty where they can."""
    sizes = [len(item.conversations) for item in items]
    if min(sizes) < 2:
        lonely = sum(size < 2 for size in sizes)
        return f"it compares responses, and {lonely} of {len(sizes)} items have only one"
    if max(sizes) > MOST_COMPARED:
        return f"it compares every two responses, and an item has {max(sizes)} of them"
    return ""


def make_plan(dataset: Dataset, arms: Arms, seed: int) -> Plan:
    """What is to be measured for a set, and which rewards it cannot have."""
    reason = _cannot_compare(dataset.items)
    refused = {arm.name: reason for arm in arms.arms if arm.compares and reason}
    usable = tuple(arm for arm in arms.arms if arm.name not in refused)
    blocks = list(runs.blocks(dataset.items))
    return Plan(dataset, usable, refused, blocks, drawn_alone(blocks, seed))


def drawn_alone(blocks: Sequence[Sequence[Item]], seed: int) -> list[list[Item]]:
    """Items of the noise floor, each as a block: a draw from those that have company."""
    together = [item for block in blocks for item in block if len(block) > 1]
    drawn = np.random.default_rng(seed).permutation(len(together))[:FLOOR_ITEMS]
    return [[together[at]] for at in sorted(drawn)]


def fill(store: Store, plans: Sequence[Plan], arms: Arms, progress: Progress) -> int:
    """Lets every pass measure what the store lacks; returns how many blocks those were."""
    needed = {
        name: [block for plan in plans for block in plan.blocks_of(name, one)]
        for name, one in arms.passes.items()
    }
    sizes = {name: sum(map(len, one.work(needed[name]))) for name, one in arms.passes.items()}
    total, before, computed = sum(sizes.values()), 0, 0
    for name, one in arms.passes.items():

        def tell(done: int, _: int, tokens: int, before: int = before) -> None:
            progress(before + done, total, tokens)

        computed += one.fill(store, needed[name], tell)
        before += sizes[name]
    return computed


@dataclass(slots=True)
class Spent:
    """What a pass did, all blocks and runs together.

    Args:
        conversations: how many it was asked about.
        skipped: how many of them it could not be asked about.
        cut: how many had their oldest messages left out to fit the model.
        tokens_run: tokens that went through the model.
        tokens_asked: tokens that the same requests hold, one row each.
        seconds: that it took.
        paths: which paths the engine took, and why.
    """

    conversations: int = 0
    skipped: int = 0
    cut: int = 0
    tokens_run: int = 0
    tokens_asked: int = 0
    seconds: float = 0.0
    paths: set[str] = field(default_factory=set[str])

    def add(self, block: Finished) -> None:
        """Adds a block's work."""
        self.conversations += len(block.responses)
        self.skipped += sum(isinstance(one, Skipped) for one in block.responses)
        self.cut += sum(isinstance(one, Measured) and one.dropped > 0 for one in block.responses)
        self.tokens_run += block.tally.tokens_run
        self.tokens_asked += block.tally.tokens_asked
        self.seconds += block.seconds
        self.paths.add(block.path)

    def as_plain(self) -> dict[str, Any]:
        """For the record."""
        counts = {name: getattr(self, name) for name in self.__slots__}
        return counts | {"seconds": round(self.seconds, 1), "paths": sorted(self.paths)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rewards of one set.

    Args:
        dataset: without what was left out.
        columns: by name of the reward.
        left_out: what could not be asked about, with the reason.
    """

    dataset: Dataset
    columns: Mapping[str, Column]
    left_out: Sequence[LeftOut]


def _walk(
    store: Store,
    plan: Plan,
    passes: Mapping[str, Pass],
    blocks: Sequence[Sequence[Item]],
    spent: Mapping[str, Spent],
) -> Iterator[tuple[Item, Mapping[str, Found]]]:
    """Every item of the blocks, with what each pass that the set needs found out about it."""
    needed = {name for arm in plan.arms for name in arm.passes}
    for block in blocks:
        found: dict[str, list[Found]] = {}
        for name in needed:
            found[name], finished = passes[name].found(store, block)
            spent[name].add(finished)
        for at, item in enumerate(block):
            yield item, {name: found[name][at] for name in needed}


def _floors(
    store: Store,
    plan: Plan,
    passes: Mapping[str, Pass],
    usual: Mapping[str, Mapping[str, Valued]],
    spent: Mapping[str, Spent],
) -> dict[str, float | None]:
    """How far each reward moves when an item is measured alone: the largest change of a response.

    Rewards that no model makes in batches do not move.
    """
    changes: dict[str, list[float]] = {arm.name: [] for arm in plan.arms}
    moving = [arm for arm in plan.arms if any(passes[name].batches for name in arm.passes)]
    asked = replace(plan, arms=tuple(moving))
    for item, found in _walk(store, asked, passes, plan.alone if moving else (), spent):
        left, lost = answered(plan.dataset, item, found, passes)
        for arm in moving:
            before = usual[arm.name].get(item.id)
            if left is not None and not lost and before is not None:
                alone = left.valued(arm, passes).values
                if len(alone) == len(before.values):
                    changes[arm.name].append(float(np.abs(alone - before.values).max()))
    names = {arm.name for arm in moving}
    return {n: max(c, default=None) if n in names else 0.0 for n, c in changes.items()}


def _column(valued: Sequence[Valued], floor: float | None) -> Column:
    return Column(
        [one.values for one in valued],
        {name: [one.categories[name] for one in valued] for name in valued[0].categories},
        floor,
    )


def make_outcome(
    store: Store, plan: Plan, passes: Mapping[str, Pass], spent: Mapping[str, Spent]
) -> Outcome:
    """The rewards of a set whose blocks are all measured.

    Args:
        store: holds the blocks.
        plan: of the set.
        passes: by name.
        spent: what each pass did is added to it.

    Raises:
        UserError: no item is left, each having been skipped.
    """
    items: list[Item] = []
    left_out: list[LeftOut] = []
    valued: dict[str, dict[str, Valued]] = {arm.name: {} for arm in plan.arms}
    for item, found in _walk(store, plan, passes, plan.blocks, spent):
        left, lost = answered(plan.dataset, item, found, passes)
        left_out.extend(lost)
        if left is not None:
            items.append(left.item)
            for arm in plan.arms:
                valued[arm.name][item.id] = left.valued(arm, passes)
    if not items:
        raise UserError(
            f"{plan.dataset.name}: every item was left out; the first one: {left_out[0].reason}"
        )
    floors = _floors(store, plan, passes, valued, spent)
    columns = {
        name: _column(list(by_item.values()), floors[name]) for name, by_item in valued.items()
    }
    return Outcome(replace(plan.dataset, items=tuple(items)), columns, left_out)
