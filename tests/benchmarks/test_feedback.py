"""The arms of the evidence differ in nothing but what is learned, and no prompt is in two parts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.feedback import (
    ARMS,
    FIRST,
    LEARNING_RATE,
    beside,
    drawn,
    key_of,
    lessons,
    measured,
    over_seeds,
    parted,
    replicated,
    shuffled,
)
from flr.datasets.base import Dataset, Item
from flr.feedback.rows import Feedback
from flr.resampling import Estimate
from flr.types import Conversation

SAID = [
    Feedback(
        Conversation.of(f"{prompt}?", f"{prompt}-{at}"),
        f"About {prompt}-{at}.",
        {"score": float(1 + (prompt + at) % 4), "source": "ab"[prompt % 2], "group": str(prompt)},
    )
    for prompt in range(12)
    for at in range(3)
]


@pytest.mark.parametrize("other", [{"seed": 1}, {"learning_rate": 3e-4}])
def test_what_was_measured_otherwise_is_not_gone_on_with(other: dict[str, float]):
    done = {"seed": 0, "learning_rate": LEARNING_RATE, "arms": {}} | other
    with pytest.raises(ValueError, match="another seed or learning rate"):
        replicated(Path("absent"), Path("absent"), 0, done, print)


def test_no_prompt_is_in_two_parts():
    keys = {"feedbackqa": set(map(str, range(100))), "vicuna-single": {f"v{n}" for n in range(20)}}
    parts = parted(keys)
    assert [len(one) for one in (parts.learn, parts.settle, parts.judge)] == [45 + 18, 10 + 2, 45]
    assert len(parts.learn | parts.settle | parts.judge) == 120
    assert not any(key.startswith("v") for key in parts.judge)
    assert parted(keys) == parts


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_feedback_is_the_same_about_other_prompts_of_the_source(seed: int):
    made = shuffled(SAID, seed)
    of = {one.text: one for one in SAID}
    assert Counter(one.text for one in made) == Counter(list(of))
    for one, now in zip(SAID, made, strict=True):
        assert (now.conversation, now.about) == (one.conversation, one.about)
        said = of[now.text]
        assert key_of(said) != key_of(one)
        assert said.about["source"] == one.about["source"]
    assert shuffled(SAID, seed) == made != shuffled(SAID, seed + 1)


def test_a_source_of_one_prompt_cannot_be_shuffled():
    with pytest.raises(ValueError, match="more than half"):
        shuffled(SAID[:3], 0)


def test_rows_are_drawn_with_as_many_of_each_score():
    rows = drawn(SAID, 36, seed=0)
    assert len(set(Counter(one.about["score"] for one in rows).values())) == 1
    assert drawn(SAID, 8, seed=0) == rows[:8] != drawn(SAID, 8, seed=1)


def test_every_arm_has_the_same_conversations_in_the_same_order():
    made = {arm.name: lessons(arm, SAID, seed=0) for arm in ARMS}
    for arm in ARMS:
        rows = made[arm.name]
        assert {row.get("form") for row in rows} == {arm.form}
        for one, row in zip(SAID, rows, strict=True):
            texts = [message["content"] for message in (*row["prompt"], *row["completion"])]
            assert [m.content for m in one.conversation.messages] == [
                text
                for text in texts
                if text in (f"{one.about['group']}?", one.conversation.response)
            ]
    learned = {n: [r["completion"][0]["content"] for r in rows] for n, rows in made.items()}
    assert learned["true, user"] == learned["true, role-switched"] == [one.text for one in SAID]
    assert learned["shuffled, user"] == learned["shuffled, role-switched"] != learned["true, user"]
    assert learned["chat"] == [one.conversation.response for one in SAID]


def test_the_mean_over_seeds_draws_seeds_too():
    one, other = (Estimate(value, np.full(2000, value), 9) for value in (0.0, 1.0))
    both = over_seeds([one, other])
    assert both.value == 0.5
    assert {0.0, 0.5, 1.0} == set(both.resampled)
    assert np.mean(both.resampled) == pytest.approx(0.5, abs=0.05)
    assert set(over_seeds([one, one]).resampled) == {0.0}


def rated(count: int) -> Dataset:
    items = tuple(
        Item(
            str(n),
            str(n),
            (Conversation.of("?", "a"), Conversation.of("?", "b")),
            (float(n), n + 1.0),
        )
        for n in range(count)
    )
    return Dataset("rated", "rating", items, "by hand")


def test_a_prompt_that_any_model_left_out_counts_for_none():
    right = [float(n + at) for n in range(8) for at in range(2)]
    columns: Mapping[str, Sequence[float | None]] = {
        "right": right,
        "one out": [None, *right[1:]],
        "wrong": [-one for one in right],
    }
    found, left_out = measured(rated(8), columns)
    assert left_out == 1
    assert [found[name, "pearson"].value for name in columns] == pytest.approx([1.0, 1.0, -1.0])


def test_true_feedback_is_held_against_both_controls():
    def known(value: float) -> Estimate:
        return Estimate(value, np.full(2000, value), 9)

    arms = {"true": 0.5, "shuffled": 0.25, "chat": 0.375}
    found = beside(known(0.125), {kind: [known(v), known(v)] for kind, v in arms.items()})
    assert found[FIRST]["value"] == 0.125
    assert {name: one["value"] for name, one in found["differences"].items()} == {
        "true - smollm2": 0.375,
        "shuffled - smollm2": 0.125,
        "chat - smollm2": 0.25,
        "true - shuffled": 0.25,
        "true - chat": 0.125,
    }
    assert found["differences"]["true - chat"]["by_seed"] == [0.125, 0.125]
