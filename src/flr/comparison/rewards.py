"""The rewards of a policy's responses, measured in blocks of its own.

A response is an item by itself, so that nothing that another policy says, or that is added later,
changes the company in which it is measured. Rewards that only compare have items of two responses,
the reference policy's and the policy's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from flr import runs
from flr.comparison.asking import Place, Said
from flr.datasets.base import Dataset, Item
from flr.evaluation.arms import Arms
from flr.evaluation.columns import Plan, Spent, drawn_alone, make_outcome
from flr.runs import Store
from flr.types import Conversation, Message

Prompts = Mapping[int, tuple[Message, ...]]
"""The messages of each prompt, by the number of its row."""

Values = Mapping[Place, float]


@final
@dataclass(frozen=True, slots=True)
class Rewards:
    """The rewards of some responses; all of them have all rewards.

    Args:
        values: of each reward.
        categories: of each reward that has categories of follow-ups, of each category.
        left_out: responses without rewards, with the reason.
        floors: how far each reward may be off by the arithmetic alone, where that was measured.
    """

    values: Mapping[str, Values] = field(default_factory=dict[str, Values])
    categories: Mapping[str, Mapping[str, Values]] = field(
        default_factory=dict[str, Mapping[str, Values]]
    )
    left_out: Mapping[Place, str] = field(default_factory=dict[Place, str])
    floors: Mapping[str, float] = field(default_factory=dict[str, float])

    def __or__(self, other: "Rewards") -> "Rewards":
        """The rewards of both."""
        return Rewards(
            {**self.values, **other.values},
            {**self.categories, **other.categories},
            {**self.left_out, **other.left_out},
            {**self.floors, **other.floors},
        )

    @property
    def places(self) -> set[Place]:
        """The responses that have every reward."""
        return set[Place].intersection(*(set(values) for values in self.values.values()))


def _id(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def _place(name: str) -> Place:
    number, at = name.split(":")
    return int(number), int(at)


def _plan(
    name: str,
    arms: Arms,
    places: Iterable[Place],
    conversations: Callable[[Place], tuple[Conversation, ...]],
    *,
    compares: bool,
    seed: int | None,
) -> Plan:
    """What is to be measured: by all rewards that compare, or by all that do not.

    With a seed, some of it is measured a second time for the noise floor.
    """
    items: list[Item] = []
    for place in sorted(places):
        given = conversations(place)
        # Nobody says which one is better: labels are there for those who ask people.
        labels = tuple(float(at == 0) for at in range(len(given)))
        items.append(Item(_id(place), str(place[0]), given, labels))
    kind = "pairwise" if compares else "rating"
    usable = tuple(arm for arm in arms.arms if arm.compares == compares)
    dataset = Dataset(name, kind, tuple(items), "responses of a policy")
    blocks = list(runs.blocks(items))
    return Plan(dataset, usable, {}, blocks, () if seed is None else drawn_alone(blocks, seed))


def plan_of(
    name: str, prompts: Prompts, said: Mapping[Place, Said], arms: Arms, seed: int | None = None
) -> Plan:
    """What is to be measured of a policy's own responses.

    Args:
        name: of the policy, for errors.
        prompts: all of them.
        said: its responses.
        arms: the rewards.
        seed: of the draw that the noise floor is measured on; None where it is not.
    """

    def alone(place: Place) -> tuple[Conversation, ...]:
        message = Message("assistant", said[place].text)
        return (Conversation((*prompts[place[0]], message)),)

    return _plan(name, arms, said, alone, compares=False, seed=seed)


def pair_plan(
    name: str,
    prompts: Prompts,
    sides: tuple[Mapping[Place, Said], Mapping[Place, Said]],
    arms: Arms,
) -> Plan | None:
    """What is asked about pairs of responses; None where no reward compares, or there is no pair.

    Args:
        name: of the policy, for errors.
        prompts: all of them.
        sides: the reference policy's responses, and the policy's.
        arms: the rewards.
    """

    def both(place: Place) -> tuple[Conversation, ...]:
        texts = [side[place].text for side in sides]
        return tuple(
            Conversation((*prompts[place[0]], Message("assistant", text))) for text in texts
        )

    places = sides[0].keys() & sides[1].keys()
    plan = _plan(name, arms, places, both, compares=True, seed=None)
    return plan if plan.arms and plan.dataset.items else None


def rewards_of(
    store: Store, plan: Plan, arms: Arms, spent: Mapping[str, Spent]
) -> tuple[Rewards, ...]:
    """The rewards of a plan whose blocks are all measured, of each side of its items.

    Args:
        store: holds the blocks.
        plan: of this module.
        arms: the rewards.
        spent: what each pass did is added to it.

    Raises:
        UserError: no item is left, each having been skipped.
    """
    outcome = make_outcome(store, plan, arms.passes, spent)
    places = [_place(item.id) for item in outcome.dataset.items]
    left_out = {_place(one.item): one.reason for one in outcome.left_out}
    return tuple(
        Rewards(
            {
                name: {place: float(of[side]) for place, of in zip(places, c.values, strict=True)}
                for name, c in outcome.columns.items()
            },
            {
                name: {
                    part: {place: float(of[side]) for place, of in zip(places, each, strict=True)}
                    for part, each in c.categories.items()
                }
                for name, c in outcome.columns.items()
                if c.categories
            },
            left_out,
            {n: c.noise_floor for n, c in outcome.columns.items() if c.noise_floor is not None},
        )
        for side in range(len(plan.dataset.items[0].labels))
    )
