"""A tiny random policy moves the way a planted reward says, and not under a constant one.

The planted reward of a response is 1 where it has the letter e. Everything goes through the doors of
a user: prompts are sampled, mined, trained on, and other prompts are sampled before and after.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flr import io
from flr.errors import UserError
from flr.mining import MineOptions, mine_file
from flr.sample_file import SampleOptions, sample_file
from flr.stats import bootstrap_interval
from flr.training.preference import AlignOptions, align_file

WORDS = ("Tea", "Why", "One two", "Is it")
TRAINED_ON = [f"{WORDS[at % 4]} {at}?" for at in range(160)]
ASKED = [f"{word} {last}?" for word in WORDS for last in ("now", "here", "so", "more")]
COINS = 3

Rows = Sequence[Mapping[str, Any]]


def has_e(response: str) -> bool:
    return "e" in response


@dataclass(frozen=True)
class World:
    """A first policy, its responses to train on, and how often they have an e where it is asked."""

    folder: Path
    policy: Path
    responses: Rows
    before: np.ndarray

    def sampled(
        self, policy: Path, name: str, prompts: Sequence[str], *, n: int, seed: int
    ) -> Rows:
        source = self.folder / f"{name}.prompts.jsonl"
        io.write(source, [{"prompt": prompt} for prompt in prompts])
        drawing = SampleOptions(
            policy=str(policy),
            **{"dtype": "fp32", "threads": 1, "temperature": 1.0, "top_p": 1.0},
            **{"n": n, "max_new_tokens": 3, "seed": seed},
        )
        sample_file(str(source), self.folder / f"{name}.jsonl", drawing)
        return io.read(str(self.folder / f"{name}.jsonl"))

    def shares(self, policy: Path, name: str) -> np.ndarray:
        """By prompt, the share of 64 responses that have an e."""
        rows = self.sampled(policy, name, ASKED, n=64, seed=2)
        return np.array([np.mean([has_e(one) for one in row["responses"]]) for row in rows])

    def mined(self, rewards: Any, method: Any) -> list[dict[str, Any]]:
        """What `flr mine` makes of the responses and their rewards."""
        source, output = self.folder / "rewarded.jsonl", self.folder / f"{method}.jsonl"
        io.write(source, [{**row, "rewards": rewards(row)} for row in self.responses])
        how: dict[str, Any] = {"format": "trl-kto", "label_threshold": 0.5}
        if method == "dpo":
            how = {"min_margin": 0.0, "choose": "all-above-margin"}
        mine_file(str(source), output, MineOptions(**how, keep_unfinished=True, force=True))
        return io.read(str(output))

    def change(self, rows: Rows, method: Any, name: str) -> np.ndarray:
        """By prompt, the change of the share that training on these rows brings."""
        io.write(self.folder / f"{name}.rows.jsonl", rows)
        training = AlignOptions(
            policy=str(self.policy),
            method=method,
            **{"dtype": "fp32", "threads": 1, "learning_rate": 3e-3, "max_steps": 40},
            **{"batch_size": 16, "micro_batch": 16},
        )
        align_file(str(self.folder / f"{name}.rows.jsonl"), self.folder / name, training)
        return self.shares(self.folder / name, f"{name}.after") - self.before


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> World:
    made = World(tmp_path_factory.mktemp("world"), tiny_model, (), np.array([]))
    responses = made.sampled(tiny_model, "responses", TRAINED_ON, n=4, seed=1)
    return World(made.folder, tiny_model, responses, made.shares(tiny_model, "before"))


def planted(row: Mapping[str, Any]) -> list[float]:
    return [float(has_e(one)) for one in row["responses"]]


def constant(row: Mapping[str, Any]) -> list[float]:
    return [1.0 for _ in row["responses"]]


def by_coin(rows: Rows, method: str, seed: int) -> Rows:
    """What a constant reward leaves: pairs in random order, labels by chance."""
    coin = random.Random(seed)
    if method == "kto":
        return [{**row, "label": coin.random() < 0.5} for row in rows]
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    return [one if coin.random() < 0.5 else other for one, other in zip(rows, turned, strict=True)]


@pytest.mark.parametrize(("method", "least"), [("dpo", 0.2), ("kto", 0.08)])
def test_the_policy_moves_the_way_the_reward_says(world: World, method: str, least: float):
    change = world.change(world.mined(planted, method), method, f"{method} planted")
    low, high = bootstrap_interval(change)
    assert 0 < low < high
    assert change.mean() > least


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_constant_reward_moves_nothing(world: World, method: str):
    """It has nothing to mine; and by a coin, over three of them, the policy stays where it is."""
    with pytest.raises(UserError):
        world.mined(constant, method)
    rows = world.mined(planted, method)
    changes = [
        world.change(by_coin(rows, method, coin), method, f"{method} coin {coin}")
        for coin in range(COINS)
    ]
    change = np.mean(changes, axis=0)
    low, high = bootstrap_interval(change)
    assert low < 0 < high
    assert abs(change.mean()) < 0.04
