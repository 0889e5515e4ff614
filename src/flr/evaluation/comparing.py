"""From sets and rewards to columns: plans the blocks, measures them, makes the rewards of them.

    items -> blocks -> what the store lacks is measured, pass by pass -> a column a reward

What an item's rewards say about a reward is the affair of `evaluate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flr import runs
from flr.datasets.base import Dataset, Item
from flr.errors import UserError
from flr.evaluation.arms import Arm, Arms, Valued
from flr.evaluation.figures import Column
from flr.evaluation.passes import Found, Pass
from flr.filling import Progress
from flr.measuring import Measured, Skipped
from flr.runs import Store

FLOOR_ITEMS = 8
"""Items of a set that are measured a second time, each alone, for the noise floor."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with one set.

    Args:
        dataset: all its items.
        arms: the rewards that it can have.
        not_computed: why it cannot have the others.
        blocks: its items, and then the items of the noise floor, each alone.
    """

    dataset: Dataset
    arms: tuple[Arm, ...]
    not_computed: Mapping[str, str]
    blocks: Sequence[Sequence[Item]]
    alone: Sequence[Sequence[Item]]

    def needs(self, name: str) -> bool:
        """Whether one of its rewards is made of a pass."""
        return any(name in arm.passes for arm in self.arms)


def make_plan(dataset: Dataset, arms: Arms, seed: int) -> Plan:
    """What is to be measured for a set, and which rewards it cannot have."""
    lonely = sum(len(item.conversations) < 2 for item in dataset.items)
    reason = f"it compares responses, and {lonely} items have only one"
    refused = {arm.name: reason for arm in arms.arms if arm.compares and lonely}
    usable = tuple(arm for arm in arms.arms if arm.name not in refused)
    drawn = np.random.default_rng(seed).permutation(len(dataset.items))[:FLOOR_ITEMS]
    blocks = list(runs.blocks(dataset.items))
    return Plan(dataset, usable, refused, blocks, [[dataset.items[at]] for at in sorted(drawn)])


def fill(store: Store, plans: Sequence[Plan], arms: Arms, progress: Progress) -> int:
    """Lets every pass measure what the store lacks; returns how many blocks those were."""
    needed = {
        name: [block for plan in plans if plan.needs(name) for block in (*plan.blocks, *plan.alone)]
        for name in arms.passes
    }
    sizes = {name: sum(map(len, one.work(needed[name]))) for name, one in arms.passes.items()}
    total, before, computed = sum(sizes.values()), 0, 0
    for name, one in arms.passes.items():

        def tell(done: int, _: int, tokens: int, before: int = before) -> None:
            progress(before + done, total, tokens)

        computed += one.fill(store, needed[name], tell)
        before += sizes[name]
    return computed


def _found(
    store: Store, plan: Plan, passes: Mapping[str, Pass], blocks: Sequence[Sequence[Item]]
) -> Mapping[str, list[Found]]:
    """What each pass that the set needs found out about each item of the blocks."""
    return {
        name: [found for block in blocks for found in one.found(store, block)]
        for name, one in passes.items()
        if plan.needs(name)
    }


def _skipped(items: Sequence[Item], found: Mapping[str, list[Found]]) -> dict[str, str]:
    """Items that a pass left out, with the reason."""
    return {
        item.id: one.reason
        for answers in found.values()
        for item, measured in zip(items, answers, strict=True)
        for one in measured
        if isinstance(one, Skipped)
    }


def _valued(
    arm: Arm, items: Sequence[Item], found: Mapping[str, list[Found]], skipped: Mapping[str, str]
) -> list[Valued]:
    """A reward of every item that is not skipped."""
    return [
        arm.value(item, [_all_measured(found[name][at]) for name in arm.passes])
        for at, item in enumerate(items)
        if item.id not in skipped
    ]


def _all_measured(found: Found) -> list[Measured]:
    measured = [one for one in found if isinstance(one, Measured)]
    assert len(measured) == len(found), "an item with a skipped conversation is left out"
    return measured


def _floor(arm: Arm, usual: Mapping[str, Valued], alone: Mapping[str, Valued]) -> float | None:
    """The largest change of a reward by the company in which it was measured."""
    if not arm.passes:
        return 0.0
    changes = [np.abs(usual[name].values - one.values).max() for name, one in alone.items()]
    return float(max(changes)) if changes else None


def _column(valued: Sequence[Valued], floor: float | None) -> Column:
    names = list(valued[0].categories)
    return Column(
        [one.values for one in valued],
        {name: [one.categories[name] for one in valued] for name in names},
        floor,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rewards of one set.

    Args:
        dataset: without the items that were skipped.
        columns: by name of the reward.
        skipped: items that were left out, with the reason.
    """

    dataset: Dataset
    columns: Mapping[str, Column]
    skipped: Mapping[str, str]


def make_outcome(store: Store, plan: Plan, passes: Mapping[str, Pass]) -> Outcome:
    """The rewards of a set whose blocks are all measured.

    Raises:
        UserError: no item is left, each having been skipped.
    """
    items, again = plan.dataset.items, [item for (item,) in plan.alone]
    found = _found(store, plan, passes, plan.blocks)
    found_alone = _found(store, plan, passes, plan.alone)
    skipped = _skipped(items, found)
    kept = tuple(item for item in items if item.id not in skipped)
    if not kept:
        reason = next(iter(skipped.values()))
        raise UserError(f"{plan.dataset.name}: every item was left out; the last one: {reason}")
    columns: dict[str, Column] = {}
    for arm in plan.arms:
        valued = _valued(arm, items, found, skipped)
        usual = {item.id: one for item, one in zip(kept, valued, strict=True)}
        by_itself = _valued(arm, again, found_alone, skipped)
        names = [item.id for item in again if item.id not in skipped]
        floor = _floor(arm, usual, dict(zip(names, by_itself, strict=True)))
        columns[arm.name] = _column(valued, floor)
    return Outcome(replace(plan.dataset, items=kept), columns, skipped)


def work(store: Store, plans: Sequence[Plan], one: Pass, name: str) -> dict[str, Any]:
    """What a pass did, all runs together."""
    blocks = [b for plan in plans if plan.needs(name) for b in (*plan.blocks, *plan.alone)]
    done = one.finished(store, blocks)
    measured = [m for block in done for m in block.responses if isinstance(m, Measured)]
    return {
        "made_with": dict(one.fingerprint),
        "conversations": sum(len(block.responses) for block in done),
        "skipped": sum(isinstance(m, Skipped) for block in done for m in block.responses),
        "cut": sum(m.dropped > 0 for m in measured),
        "tokens_run": sum(block.tally.tokens_run for block in done),
        "tokens_asked": sum(block.tally.tokens_asked for block in done),
        "seconds": round(sum(block.seconds for block in done), 1),
        "paths": sorted({block.path for block in done}),
    }
