"""The arms of the evidence differ in nothing but their pairs, and the draws do not overlap."""

from typing import Any

import pytest

from benchmarks.alignment import ARMS, DRAWN, RUN, SEEDS, TUNE, figures, rewarded

ROWS = [
    {
        "prompt": f"{n}?",
        "responses": [f"{n}-{at}" for at in range(4)],
        "finish_reasons": ["stop"] * 4,
        "rewards": [0.1, None, 0.3, -0.2],
        "other": 1,
    }
    for n in range(20)
]
OWN = [[-1.0, -2.0, -3.0, -0.5]] * len(ROWS)


def best(row: dict[str, Any]) -> tuple[int, int]:
    known = [(reward, at) for at, reward in enumerate(row["rewards"]) if reward is not None]
    return max(known)[1], min(known)[1]


def arm(name: str, seed: int = 0) -> list[dict[str, Any]]:
    return list(rewarded(name, seed, ROWS, OWN))


def test_every_arm_has_the_same_responses():
    for name in ARMS:
        for row, given in zip(arm(name), ROWS, strict=True):
            assert set(row) == {"prompt", "responses", "finish_reasons", "rewards"}
            assert row["responses"] == given["responses"]


def test_what_each_arm_pairs():
    assert {best(row) for row in arm("flr")} == {best(row) for row in arm("flr-match")} == {(2, 3)}
    assert {best(row) for row in arm("direct")} == {(3, 2)}
    drawn = [best(row) for row in arm("random")]
    assert all(1 not in pair for pair in drawn), "what has no reward is in no arm"
    assert len(set(drawn)) == 6, "every two, in both orders"
    for pair, row in zip(drawn, arm("random-flr"), strict=True):
        assert set(best(row)) == set(pair), "the same two"
        assert row["rewards"][best(row)[0]] > row["rewards"][best(row)[1]]
    assert drawn != [best(row) for row in arm("random", seed=1)]
    assert drawn == [best(row) for row in arm("random")]


def test_no_prompt_is_in_two_draws():
    slices = [RUN.train, RUN.evaluation, TUNE.train, TUNE.evaluation]
    places = [at for one in slices for at in range(DRAWN)[one]]
    assert len(places) == len(set(places)) == 128 + 64 + 32 + 32


def test_figures_of_arms():
    names = ["smollm2", *(f"{one} {seed}" for one in ARMS for seed in SEEDS)]
    items = [
        {
            "responses": {name: ["a" * (10 + number)] for name in names},
            "finish_reasons": {name: ["length"] for name in names},
            "rewards": {"flr": {n: [0.1 * n.startswith("flr ")] for n in names}, "length": {}},
        }
        for number in range(4)
    ]
    figure = {"value": 0.5}
    told = ("distinct_1", "distinct_2", "distinct_2_across", "divergence")
    policies = {name: {"figures": dict.fromkeys(told, figure)} for name in names}
    view = {"items": items, "results": {"policies": policies}}
    checked = [{"passes": {name: name.startswith("flr ") for name in names}}]
    found = figures({"user": view, "role-switched": view}, checked)
    beside = found["flr"]["against random"]
    assert beside["user"]["difference"]["value"] == pytest.approx(0.1)
    assert beside["user"]["won_at_similar_length"]["value"] == 1.0
    assert beside["verifiable"]["value"] == 1.0
    assert found["random"]["against smollm2"]["user"]["won"]["value"] == 0.5
    assert "against random" not in found["random"]
    assert len(found["flr"]["divergence"]) == 3
