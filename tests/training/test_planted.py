"""A policy moves the way a planted reward says, and does not move where the reward says nothing.

The whole path on a tiny random model: `flr sample`, a reward that a program computes from the text,
`flr mine`, `flr align`, `flr sample` again. The reward is the share of a response's characters that
are lower-case letters; which tokens have them the model cannot know.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flr import io
from flr.errors import UserError
from flr.mining import MineOptions, mine_file
from flr.sample_file import SampleOptions, sample_file
from flr.stats import bootstrap_interval
from flr.training.preference import AlignOptions, align_file

PROMPTS = [{"prompt": f"Say something about the number {n}."} for n in range(24)]
EACH = 8


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def planted(text: str) -> float:
    return sum(one.islower() for one in text) / max(1, len(text))


def sampled(policy: Path, tmp: Path, name: str, seed: int) -> list[dict[str, Any]]:
    prompts, output = tmp / "prompts.jsonl", tmp / f"{name}.jsonl"
    io.write(prompts, PROMPTS)
    options = SampleOptions(
        policy=str(policy), n=EACH, temperature=1.0, top_p=1.0, max_new_tokens=12, seed=seed
    )
    sample_file(str(prompts), output, options)
    return io.read(str(output))


def shares(rows: list[dict[str, Any]]) -> np.ndarray:
    """The mean of the property for each prompt."""
    return np.array([np.mean([planted(text) for text in row["responses"]]) for row in rows])


def trained(tmp: Path, model: Path, method: str, reward: Callable[[str], float]) -> Path:
    """The policy that learnt a reward of its own responses."""
    rows = sampled(model, tmp, "before", seed=1)
    for row in rows:
        row["rewards"] = [reward(text) for text in row["responses"]]
    rewarded, data, policy = tmp / "rewarded.jsonl", tmp / "data.jsonl", tmp / "policy"
    io.write(rewarded, rows)
    form: dict[str, Any] = {"format": "trl", "choose": "all-above-margin"}
    if method == "kto":
        form = {"format": "trl-kto", "label_quantile": 0.4}
    mine_file(str(rewarded), data, MineOptions(keep_unfinished=True, **form))
    options = AlignOptions(
        policy=str(model),
        method=method,  # pyright: ignore[reportArgumentType] - one of two, by the test's name
        dtype="fp32",
        learning_rate=3e-3,
        batch_size=16,
        micro_batch=16,
        max_steps=40,
        check="warn",
    )
    align_file(str(data), policy, options)
    return policy


def moved(tmp: Path, model: Path, policy: Path) -> tuple[float, tuple[float, float]]:
    """Change of the property, and its interval over prompts; the same seed before and after."""
    before, after = (shares(sampled(p, tmp, n, seed=2)) for p, n in ((model, "b"), (policy, "a")))
    change = after - before
    return float(change.mean()), bootstrap_interval(change)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_it_moves_the_way_the_reward_says(tmp_path: Path, tiny_model: Path, method: str):
    for sign in (1, -1):
        folder = tmp_path / str(sign)
        folder.mkdir()
        policy = trained(folder, tiny_model, method, lambda text, sign=sign: sign * planted(text))
        mean, (low, high) = moved(folder, tiny_model, policy)
        print(method, sign, mean, low, high)
        assert sign * mean > 0
        assert low > 0 or high < 0


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_it_does_not_move_where_the_reward_is_a_coin(tmp_path: Path, tiny_model: Path, method: str):
    dice = np.random.default_rng(0)
    policy = trained(tmp_path, tiny_model, method, lambda _: float(dice.random()))
    mean, (low, high) = moved(tmp_path, tiny_model, policy)
    print(method, "coin", mean, low, high)
    assert low <= 0 <= high


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_constant_reward_gives_nothing_to_learn(tmp_path: Path, tiny_model: Path, method: str):
    with pytest.raises(UserError, match=r"nothing is left|needs both"):
        trained(tmp_path, tiny_model, method, lambda _: 0.5)
