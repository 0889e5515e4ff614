"""Known answers through `evaluate`, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from flr.datasets.base import Item
from flr.errors import OptionError, UserError
from flr.evaluation.evaluate import evaluate
from flr.evaluation.figures import Column
from flr.types import Conversation
from tests.evaluation.small import answers, pairs, planted, rated, systems

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

PROMPTS = {"accuracy": 30, "strict": 30, "within_prompt": 20}
"""The shares, and how many prompts they rest on: of 10 all ratings are equal."""


@pytest.mark.parametrize("kind", SETS)
def test_planted_rewards_have_known_answers(kind: str):
    columns = {name: planted(SETS[kind], of) for name, of in PLANTED.items()}
    rewards = evaluate(SETS[kind], columns)["rewards"]
    for figure, known in KNOWN[kind].items():
        for name, answer in zip(PLANTED, known, strict=True):
            found = rewards[name][figure]
            if answer is None:
                assert [found["value"], *found["interval"]] == [None] * 3, (figure, name)
                continue
            assert found["value"] == pytest.approx(answer, abs=1e-12), (figure, name)
            low, high = found["interval"]
            assert low <= found["value"] + 1e-12, (figure, name)
            assert found["value"] <= high + 1e-12, (figure, name)
            # Where all prompts agree on a share, its interval is the exact one.
            agree = figure in PROMPTS and answer != 0.5
            unseen = 1 - 0.025 ** (1 / PROMPTS[figure]) if agree else 0
            assert high - low == pytest.approx(unseen, abs=1e-12), (figure, name)


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


def test_chance_is_what_a_reward_that_knows_nothing_gets():
    assert evaluate(PAIRS, {})["chance"] == 0.5
    assert evaluate(RATED, {})["chance"] == 0.0
    one_of_four = replace(PAIRS.items[0], conversations=(GOOD,) * 4, labels=(1.0, 0.0, 0.0, 0.0))
    two_of_four = replace(one_of_four, id="two", labels=(1.0, 1.0, 0.0, 0.0))
    mixed = replace(PAIRS, items=(one_of_four, two_of_four))
    assert evaluate(mixed, {})["chance"] == pytest.approx((1 / 4 + 1 / 6) / 2)


def test_a_reward_that_knows_nothing_is_as_good_as_chance():
    """One of four, two of four, five of six: of every size, a constant reward gets no more."""
    sizes = [(1, 4), (2, 4), (5, 6)] * 20
    items = tuple(
        Item(f"{n}", f"{n}", answers([1] * size), (1.0,) * good + (0.0,) * (size - good))
        for n, (good, size) in enumerate(sizes)
    )
    dataset = replace(PAIRS, items=items)
    constant = planted(dataset, PLANTED["constant"])
    found = evaluate(dataset, {"constant": Column(constant.values, {"part": constant.values})})
    expected = (1 / 4 + 1 / 6 + 1 / 6) / 3  # 4 over 1, 4 over 2 and 6 over 5 ways
    assert found["chance"] == pytest.approx(expected)
    assert found["rewards"]["constant"]["accuracy"]["value"] == pytest.approx(expected)
    assert found["rewards"]["constant"]["strict"]["value"] == 0
    assert found["rewards"]["constant"]["categories"]["part"]["value"] == pytest.approx(expected)
