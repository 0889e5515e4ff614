"""Reward functions of one's own: their rewards on a dataset, and how well they agree with people.

A reward function is any Python function from conversations to numbers; a model, a judge behind an
API, a rule.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from flr.datasets import loading
from flr.datasets.base import Dataset, Item
from flr.errors import OptionError, UserError
from flr.evaluation.evaluate import evaluate
from flr.evaluation.figures import Column, check_values
from flr.types import Conversation

RewardFunction = Callable[[Sequence[Conversation]], Sequence[float]]
"""The reward of each conversation, in their order."""

CALL = 64
"""Conversations that a reward function gets at a time, or one item's if it has more."""


def _calls(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Whole items, at most `CALL` conversations together where more than one."""
    call: list[Item] = []
    for item in items:
        if call and sum(len(one.labels) for one in call) + len(item.labels) > CALL:
            yield call
            call = []
        call.append(item)
    if call:
        yield call


def _asked(reward: RewardFunction, call: Sequence[Item]) -> list[Float[np.ndarray, " _"]]:
    """The rewards of some items, one array an item."""
    conversations = [conversation for item in call for conversation in item.conversations]
    given: object = reward(conversations)
    where = f"for items {call[0].id!r} to {call[-1].id!r}"
    if not isinstance(given, Iterable):
        raise UserError(
            f"the reward function gave {given!r} {where}; "
            f"expected a list of {len(conversations)} numbers, one a conversation."
        )
    try:
        values = np.array([float(value) for value in given])
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the reward function gave something that is no number {where}: {error}"
        ) from None
    if len(values) != len(conversations):
        raise UserError(
            f"the reward function gave {len(values)} values for {len(conversations)} conversations "
            f"{where}; expected one a conversation, in their order."
        )
    return np.split(values, np.cumsum([len(item.labels) for item in call])[:-1])


def ask(dataset: Dataset, reward: RewardFunction) -> Column:
    """The column of a reward function.

    Args:
        dataset: of any kind.
        reward: called with some conversations at a time, all responses of an item together.

    Returns:
        Its values; a noise floor and categories are not known of a function.

    Raises:
        UserError: a wrong number of values, or one that is not a finite number.
    """
    values: list[Float[np.ndarray, " _"]] = []
    for call in _calls(dataset.items):
        found = _asked(reward, call)
        for one, item in zip(found, call, strict=True):
            check_values(one, item, "the reward function")
        values += found
    return Column(values)


def _check_rewards(rewards: object) -> None:
    """Refuses what are no functions by name."""
    is_named = isinstance(rewards, Mapping) and rewards and all(map(callable, rewards.values()))
    if not is_named:
        raise OptionError(
            "rewards: expected reward functions by name, at least one, such as "
            f'{{"length": lambda conversations: [len(c.response) for c in conversations]}}; got '
            f"{rewards!r:.100}. Built-in rewards are compared by `flr bench --reward`."
        )


def _column(dataset: Dataset, name: str, reward: RewardFunction) -> Column:
    try:
        return ask(dataset, reward)
    except UserError as error:
        raise UserError(f"reward {name!r}: {error}") from error


def benchmark(
    dataset: Dataset | str,
    rewards: Mapping[str, RewardFunction],
    *,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """How well reward functions of one's own agree with people; `flr bench` in Python.

    Args:
        dataset: a set that is loaded, or the name of one, as on the command line.
        rewards: each function by the name that it gets; the others are held against the first.
        data_dir: folder with the files of a set that is named; None for the hub.
        limit: a random sample of so many prompts; None for all.
        seed: of the sample and the resamples.

    Returns:
        As `evaluate`.

    Raises:
        UserError: a set that cannot be read, or a function that gives no finite reward for each
            conversation.

    Example:
        >>> pair = tuple(Conversation.of("2 + 2?", text) for text in ("4", "five"))
        >>> sums = Dataset("sums", "pairwise", (Item("1", "1", pair, (1.0, 0.0)),), "by hand")
        >>> found = benchmark(sums, {"brevity": lambda cs: [-len(c.response) for c in cs]})
        >>> found["rewards"]["brevity"]["accuracy"]["value"]
        1.0
    """
    _check_rewards(rewards)
    folder = None if data_dir is None else Path(data_dir)
    known = loading.load(dataset, folder) if isinstance(dataset, str) else dataset
    drawn = known if limit is None else loading.sample(known, limit, seed)
    columns = {name: _column(drawn, name, reward) for name, reward in rewards.items()}
    return evaluate(drawn, columns, reference=next(iter(columns)), seed=seed)
