"""Labelled pairs out of scored files."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flr.calibration.labelled import Labelled, read_labelled, split
from flr.errors import InputError, OptionError, UserError
from flr.rows import parse
from tests.calibration.planted import SHORT, coin, differences, pair_rows, rated_rows
from tests.sets import weighted

COUNT = 20
FOUND = differences(COUNT, coin)


def labelled(rows: list[dict[str, Any]], **options: Any) -> Labelled:
    return read_labelled("in.jsonl", parse(rows, "in.jsonl"), SHORT, **options)


def test_pairs_are_what_chosen_has_beyond_rejected():
    found = labelled(pair_rows(FOUND))
    assert found.differences == pytest.approx(FOUND, abs=1e-12)
    assert found.prompt.tolist() == list(range(COUNT))
    assert found.weights.tolist() == [1.0] * COUNT
    assert (found.prompts, found.counts["pairs"], found.counts["responses"]) == (20, 20, 40)


@pytest.mark.parametrize("single", [False, True])
def test_ratings_make_pairs_of_the_responses_to_a_prompt(single: bool):
    found = labelled(rated_rows(FOUND, single))
    assert found.differences == pytest.approx(FOUND, abs=1e-12)
    assert found.counts["without a rating"] == COUNT


def test_a_prompt_counts_once_however_many_pairs_it_has():
    rows = rated_rows(FOUND, single=False)
    rows[0]["ratings"] = [3, 2, 1]
    rows[1]["ratings"] = [2, 2, 1]
    found = labelled(rows)
    sizes = np.bincount(found.prompt).tolist()
    assert sizes == [3, 2, *[1] * 18]
    assert np.bincount(found.prompt, found.weights) == pytest.approx(np.ones(20))
    assert found.counts["pairs of equal ratings"] == 1
    two = pair_rows(FOUND)
    assert labelled([*two, two[0]]).weights.tolist() == [0.5, 0.5, *[1.0] * 19]


def test_dialogues_that_continue_one_another_are_one_prompt():
    rows = pair_rows(differences(21, coin))
    first = rows[0]["prompt"]
    rows[1]["prompt"] = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Go on."},
    ]
    found = labelled(rows)
    assert found.prompt.tolist() == [0, 0, *range(1, 20)]
    assert found.weights.tolist() == [0.5, 0.5, *[1.0] * 19]


def test_responses_to_one_turn_are_not_compared_with_those_to_another():
    one, two = (rated_rows(FOUND, single=True) for _ in range(2))
    for row in two:
        row["prompt"] = [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Go on."},
        ]
    alone, both = labelled(one), labelled([*one, *two])
    assert (both.prompts, both.counts["pairs"]) == (alone.prompts, 2 * alone.counts["pairs"])


def test_what_has_no_reward_is_left_out_and_counted():
    rows = pair_rows(differences(21, coin))
    rows[3] |= dict.fromkeys(
        ("reward_rejected", "reward_rejected_by_category", "followups_rejected")
    )
    found = labelled(rows)
    assert (found.prompts, found.counts["without a reward"]) == (20, 1)


def test_a_split_keeps_prompts_apart_and_whole():
    rows = pair_rows(differences(50, coin))
    whole = labelled([*rows, *rows])
    train, held_out = split(whole, 0.4, seed=3)
    assert (train.prompts, held_out.prompts) == (30, 20)
    for side in (train, held_out):
        assert np.bincount(side.prompt).tolist() == [2] * side.prompts
        assert side.differences[0::2] == pytest.approx(side.differences[1::2])
    both = np.concatenate([train.differences, held_out.differences])
    assert sorted(both[:, 0]) == pytest.approx(sorted(whole.differences[:, 0]))
    assert split(whole, 0.4, seed=3)[0].differences.tolist() == train.differences.tolist()
    assert split(whole, 0.4, seed=4)[0].differences.tolist() != train.differences.tolist()


@pytest.mark.parametrize("held_out", [0.01, 0.3, 0.9, 0.99])
def test_a_split_that_leaves_too_little_is_refused(held_out: float):
    with pytest.raises(OptionError, match=f"--held-out {held_out} of 20 prompts leaves"):
        split(labelled(pair_rows(FOUND)), held_out, seed=0)


# What cannot be used.

Change = Callable[[dict[str, Any]], Any]


def first_entry(row: dict[str, Any]) -> dict[str, Any]:
    return row["followups_chosen"][0]


BAD_PAIRS: dict[str, tuple[Change, str]] = {
    "no follow-ups": (
        lambda row: row.update(followups_chosen=None),
        "row 2: it was scored, but its follow-ups .*--per-followup --force",
    ),
    "NaN": (lambda row: first_entry(row).update(logprob=float("nan")), "row 2: .*nan"),
    "infinite": (lambda row: first_entry(row).update(logprob=float("-inf")), "row 2: .*inf"),
    "NaN reward": (lambda row: row.update(reward_chosen=float("nan")), "row 2: its rewards"),
    "a text": (lambda row: first_entry(row).update(logprob="-1"), "row 2: .*expected text, cat"),
    "a text for a reward": (lambda row: row.update(reward_chosen="1"), "row 2: its rewards"),
    "raw logits": (
        lambda row: first_entry(row).update(logit=first_entry(row).pop("logprob")),
        "row 2: .*logprob",
    ),
    "another text": (
        lambda row: first_entry(row).update(text="Huh?"),
        "row 2: chosen was scored with other follow-ups than those of the set 'short'.*--set",
    ),
    "a weight": (lambda row: first_entry(row).update(weight=0.5), "row 2: .*other follow-ups"),
    "fewer": (lambda row: row["followups_chosen"].pop(), "row 2: .*"),
    "none": (lambda row: row.update(followups_chosen=[]), "row 2: .*"),
}


@pytest.mark.parametrize(("change", "said"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_a_bad_pair_is_named(change: Change, said: str):
    rows = pair_rows(FOUND)
    change(rows[1])
    with pytest.raises(InputError, match=said):
        labelled(rows)


BAD_RATINGS: dict[str, tuple[Change, str]] = {
    "NaN": (lambda row: row["ratings"].__setitem__(1, float("nan")), r"ratings\[1\].*nan"),
    "infinite": (lambda row: row["ratings"].__setitem__(1, float("inf")), r"ratings\[1\].*inf"),
    "a text": (lambda row: row["ratings"].__setitem__(0, "good"), r"ratings\[0\].*a text"),
    "an object": (lambda row: row["ratings"].__setitem__(0, {}), r"ratings\[0\].*an object"),
    "huge": (lambda row: row["ratings"].__setitem__(0, 10**400), r"ratings\[0\].*a number"),
    "too few": (lambda row: row["ratings"].pop(), "ratings: expected a rating for each.*2 of them"),
    "one number": (lambda row: row.update(ratings=3), "ratings: .*got a number"),
    "none": (lambda row: row.pop("ratings"), "no labels: ratings or scores or labels.*--rating"),
}


@pytest.mark.parametrize(("change", "said"), BAD_RATINGS.values(), ids=BAD_RATINGS)
def test_bad_ratings_are_named_all_of_them(change: Change, said: str):
    rows = rated_rows(FOUND, single=False)
    change(rows[1])
    change(rows[4])
    with pytest.raises(InputError, match=said) as caught:
        labelled(rows)
    assert [problem.row for problem in caught.value.problems] == [2, 5]


def test_ratings_may_have_another_name():
    rows = rated_rows(FOUND, single=True)
    for row in rows:
        row["stars"] = row.pop("rating")
    with pytest.raises(InputError, match="no labels: rating or score or label"):
        labelled(rows)
    assert labelled(rows, rating="stars").prompts == COUNT
    with pytest.raises(InputError, match="no labels: moons was expected"):
        labelled(rows, rating="moons")


def test_cells_of_a_table_are_ratings():
    rows = rated_rows(FOUND, single=True)
    for row in rows:
        row["rating"] = "" if row["rating"] is None else str(row["rating"])
    assert labelled(rows).differences == pytest.approx(FOUND, abs=1e-12)


def test_white_space_around_a_prompt_makes_no_other_prompt():
    rows = rated_rows(FOUND, single=True)
    for row in rows[::2]:
        row["prompt"] = f" {row['prompt']}\n"
    assert labelled(rows).differences == pytest.approx(FOUND, abs=1e-12)


def test_labels_of_kto_are_ratings():
    rows = rated_rows(FOUND, single=True)
    for row in rows:
        rating = row.pop("rating")
        row["label"] = rating and rating > 2
    assert labelled(rows).differences == pytest.approx(FOUND, abs=1e-12)


@pytest.mark.parametrize("ratings", [[2, 2, 2], [None, None, None], [1, None, None], None])
def test_no_prompt_with_two_that_differ(ratings: Any):
    rows = [row | {"ratings": ratings} for row in rated_rows(FOUND, single=False)]
    with pytest.raises(UserError, match="no prompt has two responses of which one is better"):
        labelled(rows)


@pytest.mark.parametrize("count", [1, 19])
def test_too_few_prompts(count: int):
    with pytest.raises(UserError, match=f": {count} prompts? ha(s|ve) labelled .*least 20"):
        labelled(pair_rows(FOUND[:count]))
    assert labelled(pair_rows(FOUND[:count]), fewest=False).prompts == count


def test_rows_that_are_not_scored():
    rows = [{"prompt": "a", "chosen": "b", "rejected": "c"}] * COUNT
    with pytest.raises(UserError, match=r"not scored; give the output of flr score in.jsonl --per"):
        labelled(rows)


def test_a_set_with_weights_is_read_as_it_was_scored():
    heavy = weighted(SHORT, *[1.0 + at for at in range(len(SHORT.followups))])
    rows = parse(pair_rows(FOUND, heavy), "in.jsonl")
    assert read_labelled("in.jsonl", rows, heavy).differences == pytest.approx(FOUND, abs=1e-12)
    with pytest.raises(InputError, match="other follow-ups"):
        read_labelled("in.jsonl", rows, SHORT)
