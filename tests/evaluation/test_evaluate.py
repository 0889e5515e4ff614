"""Known answers through `ask` and `evaluate`, and what is refused."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flr.errors import OptionError, UserError
from flr.evaluation import evaluate as module
from flr.evaluation.evaluate import ask, benchmark, evaluate
from flr.evaluation.figures import Column
from flr.types import Conversation
from tests.evaluation.small import pairs, planted, rated, systems

GOOD = Conversation.of("Why?", "Because.")
PAIRS = pairs([(n % 7, n % 5) for n in range(30)])
RATED = rated([[(n % 5, float(n % 3)), (n % 4, float(n % 2))] for n in range(30)])
RANKED = systems({"a": 1000.0, "b": 1100.0, "c": 1250.0, "d": 1300.0}, 20)
SETS = {"pairwise": PAIRS, "rating": RATED, "ranking": RANKED}

PLANTED = {
    "perfect": lambda label: label,
    "reversed": lambda label: -label,
    "constant": lambda label: np.full(len(label), 0.1),
}
KNOWN = {
    "pairwise": {"accuracy": (1, 0, 0.5), "strict": (1, 0, 0)},
    "rating": {
        "pearson": (1, -1, None),
        "spearman": (1, -1, None),
        "kendall": (1, -1, None),
        "within_prompt": (1, 0, 0.5),
    },
    "ranking": {"spearman": (1, -1, None), "kendall": (1, -1, None)},
}


@pytest.mark.parametrize("kind", SETS)
def test_planted_rewards_have_known_answers(kind: str):
    columns = {name: planted(SETS[kind], of) for name, of in PLANTED.items()}
    rewards = evaluate(SETS[kind], columns)["rewards"]
    for figure, answers in KNOWN[kind].items():
        for name, answer in zip(PLANTED, answers, strict=True):
            found = rewards[name][figure]
            expected = answer if answer is None else pytest.approx(answer, abs=1e-12)
            assert [found["value"], *found["interval"]] == [expected] * 3, (figure, name)


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_planted_nan_is_an_error_that_names_reward_and_item(kind: str, bad: float):
    good = planted(SETS[kind], PLANTED["perfect"])
    values = [*good.values]
    values[3] = np.where(np.arange(len(values[3])) == 1, bad, values[3])
    with pytest.raises(UserError, match=r"reward 'mine': response 2 of item 'i3' got (nan|inf)"):
        evaluate(SETS[kind], {"good": good, "mine": Column(values)})
    hidden = Column(good.values, {"correctness": values})
    with pytest.raises(UserError, match="reward 'mine', category 'correctness': response 2 of"):
        evaluate(SETS[kind], {"mine": hidden})


def test_a_column_of_another_shape_is_an_error():
    good = planted(PAIRS, PLANTED["perfect"])
    with pytest.raises(UserError, match=r"'mine': rewards of 29 items, but small has 30"):
        evaluate(PAIRS, {"mine": Column(good.values[1:])})
    with pytest.raises(UserError, match=r"'mine': 3 values for item 'i0'; expected 2"):
        evaluate(PAIRS, {"mine": Column([np.zeros(3), *good.values[1:]])})


def test_a_reference_that_is_not_there_is_an_error():
    with pytest.raises(OptionError, match=r"no reward 'lenght' .* Did you mean 'length'\?"):
        evaluate(PAIRS, {"length": planted(PAIRS, PLANTED["perfect"])}, reference="lenght")


@pytest.mark.parametrize("kind", SETS)
def test_the_difference_to_a_copy_is_exactly_nothing(kind: str):
    generator = np.random.default_rng(0)
    one = planted(SETS[kind], lambda label: generator.normal(size=len(label)))
    other = planted(SETS[kind], lambda label: label)
    columns: dict[str, Column] = {"other": other, "copy": Column(one.values), "own": one}
    rewards = evaluate(SETS[kind], columns, reference="own")["rewards"]
    assert list(rewards) == ["other", "copy", "own"]
    assert rewards["own"]["difference"] is None
    assert rewards["copy"]["difference"]["value"] == 0
    assert rewards["copy"]["difference"]["interval"] == [0, 0]
    main = {"pairwise": "accuracy", "rating": "pearson", "ranking": "spearman"}[kind]
    difference = rewards["other"]["difference"]
    values = [rewards[name][main]["value"] for name in ("other", "own")]
    assert difference["value"] == pytest.approx(values[0] - values[1])
    assert difference["interval"][0] <= difference["value"] <= difference["interval"][1]


def test_without_a_reference_there_is_no_difference():
    found = evaluate(PAIRS, {"own": planted(PAIRS, PLANTED["perfect"])})["rewards"]["own"]
    assert found["difference"] is None


@pytest.mark.parametrize("kind", SETS)
def test_the_order_of_items_and_of_rewards_changes_nothing(kind: str):
    dataset = SETS[kind]
    generator = np.random.default_rng(1)
    columns = {
        name: planted(dataset, lambda label: generator.normal(size=len(label))) for name in "ab"
    }
    order = generator.permutation(len(dataset.items))
    moved = replace(dataset, items=tuple(dataset.items[at] for at in order))
    also = {name: Column([columns[name].values[at] for at in order]) for name in "ba"}
    found = evaluate(dataset, columns, reference="a")["rewards"]
    again = evaluate(moved, also, reference="a")["rewards"]
    for name, figures in found.items():
        for part, figure in figures.items():
            if isinstance(figure, dict) and "value" in figure:
                assert again[name][part]["value"] == pytest.approx(figure["value"])
                assert again[name][part]["interval"] == pytest.approx(figure["interval"])


@pytest.mark.parametrize("kind", SETS)
def test_the_result_is_plain_data_and_says_what_was_evaluated(kind: str):
    columns = {"constant": replace(planted(SETS[kind], PLANTED["constant"]), noise_floor=0.0)}
    found = evaluate(SETS[kind], columns)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    items = SETS[kind].items
    assert (found["kind"], found["source"]) == (kind, "by hand")
    assert (found["items"], found["groups"]) == (len(items), len(items))
    assert found["responses"] == sum(len(item.labels) for item in items)
    assert (found["files"], found["left_out"]) == (dict(SETS[kind].files), SETS[kind].left_out)


def test_the_seed_moves_intervals_only():
    noisy = {"own": Column([np.array([n % 3, n % 4], float) for n in range(30)])}
    one, same, other = (evaluate(PAIRS, noisy, seed=seed) for seed in (0, 0, 1))
    assert one == same
    found = [each["rewards"]["own"]["length_correlation"] for each in (one, other)]
    assert found[0]["value"] == found[1]["value"]
    assert found[0]["interval"] != found[1]["interval"]


def test_one_prompt_has_no_interval():
    found = evaluate(pairs([(3, 2)]), {"own": Column([np.array([1.0, 0.0])])})
    accuracy = found["rewards"]["own"]["accuracy"]
    assert accuracy == {"value": 1, "interval": [None, None], "count": 1}


def test_no_rewards_are_no_results():
    assert evaluate(PAIRS, {})["rewards"] == {}


def length(conversations: Sequence[Conversation]) -> list[float]:
    return [float(len(one.response)) for one in conversations]


def test_a_function_is_asked_in_calls_that_split_no_item(monkeypatch: pytest.MonkeyPatch):
    dataset = rated([[(n, 1.0)] * size for n, size in enumerate([2, 3, 9, 1, 1, 1, 2])])
    monkeypatch.setattr(module, "CALL", 4)
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


def test_chance_is_what_a_reward_that_knows_nothing_gets():
    assert evaluate(PAIRS, {})["chance"] == 0.5
    assert evaluate(RATED, {})["chance"] == 0.0
    one_of_four = replace(PAIRS.items[0], conversations=(GOOD,) * 4, labels=(1.0, 0.0, 0.0, 0.0))
    two_of_four = replace(one_of_four, id="two", labels=(1.0, 1.0, 0.0, 0.0))
    mixed = replace(PAIRS, items=(one_of_four, two_of_four))
    assert evaluate(mixed, {})["chance"] == pytest.approx((1 / 4 + 1 / 6) / 2)
