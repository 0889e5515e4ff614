"""The noise floor: responses measured a second time, alone."""

from pathlib import Path

import pytest

from flr import io
from flr.loading import prepare
from flr.noise_floor import ROWS, noise_floor
from flr.options import ScorerOptions
from flr.rows import Row, parse
from flr.runs import Store
from flr.score_file import ScoreOptions, score_file


@pytest.fixture(scope="module")
def given(tiny_model: Path) -> ScorerOptions:
    return ScorerOptions(model=str(tiny_model), dtype="fp32", threads=1, set="short")


def rows_of(rewards: list[list[float | None]]) -> list[Row]:
    rows = [
        {
            "prompt": f"Tea {at}?",
            "responses": [f"Yes {i}." for i in range(len(own))],
            "rewards": own,
        }
        for at, own in enumerate(rewards)
    ]
    return parse(rows, "r.jsonl")


def test_it_is_the_largest_change_of_a_reward(given: ScorerOptions, tmp_path: Path):
    parts = prepare(given)
    with Store(tmp_path / "store") as store:
        zero, computed = noise_floor(store, rows_of([[0.0, None, 0.0], [0.0]]), given, parts)
        assert computed == 3  # the one response of the second row is its best and its worst
        by_one, computed = noise_floor(store, rows_of([[0.0, None, 1.0], [0.0]]), given, parts)
        assert computed == 0
    # off by reward(Yes 2.) in the first, and by 1 - reward(Yes 2.) in the second
    assert by_one == pytest.approx(1, abs=zero + 1e-6)
    assert by_one != zero > 0


def test_rewards_of_the_same_arithmetic_are_hardly_off(given: ScorerOptions, tmp_path: Path):
    lines = '{"prompt": "Tea?", "responses": ["Yes.", "No, never."]}\n' * 12
    (tmp_path / "in.jsonl").write_text(lines)
    options = ScoreOptions(model=given.model, dtype="fp32", threads=1, set="short")
    score_file(str(tmp_path / "in.jsonl"), tmp_path / "out.jsonl", options)
    rows = io.load(str(tmp_path / "out.jsonl"))
    told: list[int] = []
    with Store(tmp_path / "store") as store:
        floor, _ = noise_floor(
            store, rows, given, prepare(given), lambda _, total, __: told.append(total)
        )
    assert 0 <= floor < 1e-4
    assert told[-1] == 2 * ROWS


def test_without_rewards_nothing_is_measured(given: ScorerOptions, tmp_path: Path):
    with Store(tmp_path / "store") as store:
        assert noise_floor(store, rows_of([[None, None]]), given, prepare(given)) == (0.0, 0)
