"""Rows of preference data from rewarded responses, and the figures told about them."""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import InputError, UserError
from flr.labelling import LabelOptions
from flr.mined.labels import mined_labels
from flr.mined.pairs import mined_pairs
from flr.mined.rows import Mined, OutputOptions, groups_of
from flr.pairing import PairingOptions
from flr.rows import Row, parse


def rows_of(rewards: Sequence[Sequence[float | None]], **columns: Any) -> list[Row]:
    """Prompts p0, p1, ...; a response with the reward 0.5 says `word 0 0.5`."""
    return parse(
        [
            {
                "prompt": f"p{at}",
                "responses": [f"word {i} {reward}" for i, reward in enumerate(own)],
                "rewards": list(own),
                "rewards_by_category": [
                    None if one is None else {"a": 2 * one, "b": 0.0} for one in own
                ],
                **columns,
            }
            for at, own in enumerate(rewards)
        ],
        "r.jsonl",
    )


def pairs(rows: list[Row], floor: float | None = None, **given: Any) -> Mined:
    output = OutputOptions(**{key: given.pop(key) for key in ("held_out",) if key in given})
    return mined_pairs(
        rows,
        groups_of(rows, "r.jsonl"),
        PairingOptions(**given),
        output,
        weights={},
        noise_floor=floor,
        seed=0,
    )


def labels(rows: list[Row], **given: Any) -> Mined:
    output = OutputOptions(format="trl-kto", held_out=given.pop("held_out", 0.0))
    keep = given.pop("keep_unfinished", False)
    groups = groups_of(rows, "r.jsonl")
    return mined_labels(rows, groups, LabelOptions(**given), output, keep_unfinished=keep, seed=0)


def test_a_row_says_what_was_chosen_and_by_how_much():
    (row,) = pairs(rows_of([[1, 3.0, 2.0]], id=7)).rows
    assert row == {
        "prompt": [{"role": "user", "content": "p0"}],
        "chosen": [{"role": "assistant", "content": "word 1 3.0"}],
        "rejected": [{"role": "assistant", "content": "word 0 1"}],
        "id": 7,
        "reward_chosen": 3.0,
        "reward_rejected": 1.0,
        "margin": 2.0,
        "reward_chosen_by_category": {"a": 6.0, "b": 0.0},
        "reward_rejected_by_category": {"a": 2.0, "b": 0.0},
    }
    assert isinstance(row["reward_rejected"], float)


def test_the_report_counts_and_measures():
    report = pairs(rows_of([[0.0, 1.0], [0.0, 3.0], [5.0, 5.0], [None, 1.0]])).report
    counts = report["yield"]
    assert (counts["responses"], counts["prompts"], counts["pairs"]) == (8, 4, 2)
    assert (counts["no_reward"], counts["too_few"], counts["margin"]) == (1, 1, 1)
    assert report["margin_quantiles"] == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert report["categories"]["a"] == {"margin": 4.0, "share": 1.0}
    assert report["categories"]["b"] == {"margin": 0.0, "share": 0.0}
    assert report["characters"] == {
        "chosen": 10.0,
        "rejected": 10.0,
        "chosen_longer": 0.0,
        "equal": 1.0,
    }
    assert [one["margin"] for one in report["examples"]] == [1.0, 3.0]
    json.dumps(report, allow_nan=False)


def test_twice_the_noise_floor_is_the_least_margin():
    rows = rows_of([[0.0, 1.0], [0.0, 3.0]])
    assert len(pairs(rows, floor=0.5).rows) == 1
    assert len(pairs(rows, floor=0.4).rows) == 2
    assert len(pairs(rows, floor=9.0, min_margin=0.0).rows) == 2


def test_without_categories_or_pairs_there_is_still_a_report():
    rows = rows_of([[1.0, 1.0]], rewards_by_category=None)
    mined = pairs(rows)
    assert (mined.rows, mined.held_out) == ([], [])
    assert mined.report["margin_quantiles"] == []
    assert mined.report["characters"] is None
    assert mined.report["categories"] == {}


@given(
    st.lists(st.lists(st.none() | st.integers(-3, 3), min_size=1, max_size=5), min_size=1),
    st.sampled_from([0.0, 0.05, 0.3, 0.9]),
)
def test_the_best_stands_against_the_worst_and_no_prompt_on_both_sides(
    rewards: list[list[int | None]], held_out: float
):
    mined = pairs(rows_of(rewards), held_out=held_out)
    every = [*mined.rows, *mined.held_out]
    known = [[one for one in own if one is not None] for own in rewards]
    assert len(every) == sum(len(set(own)) > 1 for own in known)
    for row in every:
        own = known[int(row["prompt"][0]["content"][1:])]
        assert (row["reward_chosen"], row["reward_rejected"]) == (max(own), min(own))
    sides = [{row["prompt"][0]["content"] for row in side} for side in (mined.rows, mined.held_out)]
    assert not sides[0] & sides[1]
    assert bool(mined.rows) == bool(every)
    assert bool(mined.held_out) == (held_out > 0 and len(every) > 1)
    if 1 <= held_out * len(every) <= len(every) - 1:
        assert abs(len(sides[1]) - held_out * len(every)) <= 0.5


def test_rows_of_one_prompt_go_to_one_side():
    rows = [row for best in (1.0, 2.0, 3.0) for row in rows_of([[0.0, best]])]
    rows += rows_of([[0.0, 1.0], [0.0, 1.0]])[1:]
    mined = pairs(rows, held_out=0.5)
    assert sorted([len(mined.rows), len(mined.held_out)]) == [1, 3]


def test_labels_are_interleaved_and_a_prompts_rows_kept_apart():
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(40, 8)).tolist()
    mined = labels(rows_of(rewards))
    told = [row["label"] for row in mined.rows]
    assert told.count(True) == sum(one > 0 for own in rewards for one in own)
    for row in mined.rows:
        assert row["label"] == (row["reward"] > 0)
    share = told.count(True) / len(told)
    for end in range(1, len(told)):
        assert abs(told[:end].count(True) - share * end) <= 1
    prompts = [row["prompt"][0]["content"] for row in mined.rows]
    neighbours = [a == b for a, b in pairwise(prompts)]
    assert sum(neighbours) <= 0.05 * len(neighbours)
    assert mined.report["weights"].keys() == {"desirable_weight", "undesirable_weight"}


def test_the_weights_are_those_of_the_rows_that_are_not_held_out():
    rows = rows_of([[1.0, 2.0, -1.0, -2.0, -3.0]] * 8)
    every = labels(rows, held_out=0.5)
    told = [row["label"] for row in every.rows]
    assert (told.count(True), told.count(False)) == (8, 12)
    assert every.report["weights"] == {"desirable_weight": 1.75, "undesirable_weight": 1.0}
    one_sided = rows_of([[1.0, 2.0], [-1.0, -2.0]])
    with pytest.raises(UserError, match="needs both"):
        labels(one_sided, held_out=0.5)


def test_of_near_equal_texts_one_gets_a_label():
    rows = parse(
        [{"prompt": "p", "responses": ["Yes.", "yes", "No."], "rewards": [1.0, 1.0, -1.0]}], "r"
    )
    mined = labels(rows)
    assert sorted(row["label"] for row in mined.rows) == [False, True]
    assert mined.report["yield"]["near_equal"] == 1
    backwards = parse(
        [{"prompt": "p", "responses": ["No.", "yes", "Yes."], "rewards": [-1.0, 1.0, 1.0]}], "r"
    )
    texts = [
        {row["completion"][0]["content"] for row in labels(of).rows} for of in (rows, backwards)
    ]
    assert texts[0] == texts[1]


def test_labelled_responses_have_a_report_too():
    report = labels(rows_of([[0.5, -1.0], [1.5, 0.0]])).report
    assert report["yield"]["ties_or_between"] == 1
    assert report["characters"] == {"desirable": 10.0, "undesirable": 11.0}
    assert report["categories"] == {
        "desirable": {"a": 2.0, "b": 0.0},
        "undesirable": {"a": -2.0, "b": 0.0},
    }
    assert [(one["label"], one["reward"]) for one in report["examples"]] == [
        (True, 0.5),
        (False, -1.0),
        (True, 1.5),
    ]
    json.dumps(report, allow_nan=False)


def test_where_all_were_cut_off_it_says_how_to_keep_them():
    rows = rows_of([[1.0, -1.0]], finish_reasons=["length", "length"])
    with pytest.raises(UserError, match="--keep-unfinished"):
        labels(rows)
    assert len(labels(rows, keep_unfinished=True).rows) == 2


def test_prompts_that_differ_in_white_space_go_to_one_side():
    rows = parse(
        [
            {"prompt": text, "responses": ["a", f"b{at}"], "rewards": [1.0, 0.0]}
            for at, text in enumerate(("T?", "T? ", "U?"))
        ],
        "r.jsonl",
    )
    mined = pairs(rows, held_out=0.5)
    assert sorted([len(mined.rows), len(mined.held_out)]) == [1, 2]


def test_pairs_that_say_the_same_are_written_once():
    mined = pairs(rows_of([[0.0, 1.0]]) * 3)
    assert len(mined.rows) == 1
    assert (mined.report["yield"]["pairs"], mined.report["yield"]["repeated"]) == (1, 2)


def test_columns_that_speak_of_responses_do_not_travel():
    rows = rows_of([[0.0, 1.0]], source="tea", reward=3.0, followups=[[], []], messages="old")
    (row,) = pairs(rows).rows
    assert row["source"] == "tea"
    assert not {"reward", "followups", "messages", "rewards", "responses"} & row.keys()


def test_one_label_only_is_an_error_that_says_what_to_do():
    says = r"2 responses are desirable and 0 undesirable.*--label-quantile"
    with pytest.raises(UserError, match=says):
        labels(rows_of([[1.0, 2.0]]))
    assert len(labels(rows_of([[1.0, 2.0]]), label_quantile=0.5).rows) == 2


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"rewards": [0.5]}, "rewards: expected a list of 2"),
        ({"rewards": "high"}, "rewards: expected a list of 2"),
        ({"rewards": [True, 0.5]}, "rewards: expected a list of 2"),
        ({"rewards": [0.1, 0.5], "finish_reasons": ["stop"]}, "finish_reasons: expected"),
        ({"rewards": [0.1, 0.5], "finish_reasons": [1, 2]}, "finish_reasons: expected"),
        ({"rewards": [0.1, 0.5], "rewards_by_category": [1, 2]}, "rewards_by_category: expected"),
        (
            {"rewards": [0.1, 0.5], "rewards_by_category": [{"a": "high"}, None]},
            "rewards_by_category: expected",
        ),
        (
            {"rewards": [0.1, 0.5], "rewards_by_category": [{"a": math.nan}, None]},
            "rewards_by_category: expected",
        ),
        ({"rewards": [10**400, 0.5]}, "rewards: expected"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns: dict[str, Any], says: str):
    rows = parse([{"prompt": "p", "responses": ["a", "b"], **columns}], "r.jsonl")
    with pytest.raises(InputError, match=says) as caught:
        groups_of(rows, "r.jsonl")
    assert caught.value.problems[0].row == 1
