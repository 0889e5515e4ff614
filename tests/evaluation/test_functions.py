"""Reward functions of one's own: how they are asked, what is refused, and `benchmark`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flr.errors import OptionError, UserError
from flr.evaluation import functions
from flr.evaluation.functions import ask, benchmark
from flr.types import Conversation
from tests.evaluation.small import pairs, rated

PAIRS = pairs([(n % 7, n % 5) for n in range(30)])


def length(conversations: Sequence[Conversation]) -> list[float]:
    return [float(len(one.response)) for one in conversations]


def test_a_function_is_asked_in_calls_that_split_no_item(monkeypatch: pytest.MonkeyPatch):
    dataset = rated([[(n, 1.0)] * size for n, size in enumerate([2, 3, 9, 1, 1, 1, 2])])
    monkeypatch.setattr(functions, "CALL", 4)
    calls: list[int] = []

    def counted(conversations: Sequence[Conversation]) -> list[float]:
        calls.append(len(conversations))
        return length(conversations)

    column = ask(dataset, counted)
    assert calls == [2, 3, 9, 3, 2]
    assert [one.tolist() for one in column.values] == [
        [n] * len(item.labels) for n, item in enumerate(dataset.items)
    ]
    assert (column.categories, column.noise_floor) == ({}, None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda asked: length(asked)[1:], r"gave 59 values for 60 conv.*items 'i0' to 'i29'"),
        (lambda asked: [], r"gave 0 values"),
        (lambda asked: [0.0] * 5 + [float("nan")] * 55, r"response 2 of item 'i2' got nan"),
        (lambda asked: np.full(60, np.inf), r"response 1 of item 'i0' got inf"),
        (lambda asked: ["good"] * 60, r"no number .*'good'"),
        (lambda asked: [None] * 60, r"no number .*NoneType"),
        (lambda asked: np.zeros((60, 2)), r"no number"),
    ],
)
def test_a_function_that_answers_wrongly_is_refused(answer, message: str):
    with pytest.raises(UserError, match=message):
        ask(PAIRS, answer)


def test_arrays_and_whole_numbers_are_rewards_too():
    kinds: list[Callable[[list[float]], Any]] = [np.array, lambda values: [int(v) for v in values]]
    for kind in kinds:
        column = ask(PAIRS, lambda asked, kind=kind: kind(length(asked)))
        assert column.values[8].tolist() == [1, 3]
        assert column.values[8].dtype == np.float64


def test_functions_of_ones_own_are_benchmarked_by_the_name_of_a_set(tmp_path: Path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"{n}?", "chosen": "x" * n, "rejected": "xx"} for n in (1, 3, 4, 5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def longer(conversations: Sequence[Conversation]) -> list[float]:
        return [len(one.response) for one in conversations]

    def shorter(conversations: Sequence[Conversation]) -> list[float]:
        return [-len(one.response) for one in conversations]

    found = benchmark(str(path), {"longer": longer, "shorter": shorter})
    assert found["rewards"]["longer"]["accuracy"]["value"] == 0.75
    assert found["rewards"]["shorter"]["difference"]["value"] == -0.5
    assert benchmark(str(path), {"longer": longer}, limit=2)["items"] == 2
    with pytest.raises(OptionError, match="at least one"):
        benchmark(str(path), {})


@pytest.mark.parametrize(
    "rewards", [{}, "length,random", ["length"], len, {"length": "length"}], ids=str
)
def test_what_are_no_functions_by_name_is_refused(rewards: object):
    with pytest.raises(OptionError, match="expected reward functions by name"):
        functions._check_rewards(rewards)


@pytest.mark.parametrize("given", [None, 1.0])
def test_a_function_that_gives_no_list_is_named(given: Any, tmp_path: Path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    with pytest.raises(UserError, match=r"reward 'mine': the reward function gave .* a list of 2"):
        benchmark(str(path), {"mine": lambda _: given})


def test_a_data_folder_may_be_a_text(tmp_path: Path):
    (tmp_path / "llmbar.json").write_text(
        '[{"input": "a", "output_1": "b", "output_2": "cc", "label": 1}]'
    )
    found = benchmark("llmbar", {"mine": lambda cs: [0.0] * len(cs)}, data_dir=str(tmp_path))
    assert found["items"] == 1
