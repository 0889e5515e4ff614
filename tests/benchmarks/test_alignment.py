"""The arms of the evidence differ in nothing but their pairs, and the draws do not overlap."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alignment import (
    ARMS,
    DRAWN,
    FIRST,
    OF_POLICY,
    RUN,
    SEEDS,
    TUNE,
    figures,
    main,
    measured,
    rewarded,
)

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
OWN = [[-2.0, -0.1, -3.0, -0.5]] * len(ROWS)


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
    assert {best(row) for row in arm("direct")} == {(3, 2)}, "1 is likelier, and has no reward"
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


def numbers(shift: float, prompts: int = 4) -> dict[str, Any]:
    """A policy's numbers: rewards moved by `shift`, and longer responses by its hundredfold."""
    return {
        "reward, user": [0.1 * at + shift for at in range(prompts)],
        "reward, role-switched": [0.2 * at for at in range(prompts)],
        "characters": [10.0 + at for at in range(prompts)],
        "unfinished": [1.0] * prompts,
        "verifiable": [float(shift > 0)] * 3,
        "distinct_1": 0.5,
        "divergence": shift,
    }


def seeds() -> list[dict[str, Any]]:
    return [{name: numbers(0.1 * (name == "flr")) for name in (FIRST, *ARMS)} for _ in SEEDS]


def test_figures_of_arms():
    found = figures(seeds())
    assert found["prompts_left_out"] == 0
    beside = found["arms"]["flr"]["against random"]
    assert beside["user"]["difference"]["value"] == pytest.approx(0.1)
    assert beside["user"]["difference"]["by_seed"] == pytest.approx([0.1] * 3)
    assert beside["user"]["won_at_similar_length"]["value"] == 1.0
    assert beside["role-switched"]["won"]["value"] == 0.5
    assert beside["verifiable"]["value"] == 1.0
    assert found["arms"]["random"]["against smollm2"]["user"]["won"]["value"] == 0.5
    assert "against random" not in found["arms"]["random"]
    assert found["arms"]["flr"]["divergence"] == pytest.approx([0.1] * 3)


def test_a_prompt_without_a_reward_is_left_out_for_all():
    given = seeds()
    given[1]["direct"]["reward, role-switched"][2] = None
    found = figures(given)
    assert found["prompts_left_out"] == 1
    assert found["arms"]["flr"]["against random"]["user"]["difference"]["count"] == 3 * 3
    assert found["arms"]["flr"]["characters"]["count"] == 3 * 4, "lengths need no reward"


def test_report_of_three_files(tmp_path: Path):
    files = [tmp_path / f"{seed}.json" for seed in SEEDS]
    for seed, path in enumerate(files):
        training = {arm: {"seconds": 1.0} for arm in ARMS}
        given = {"seed": seed, "learning_rate": 0.1, "training": training, "policies": seeds()[0]}
        path.write_text(json.dumps(given), "utf-8")
    output = tmp_path / "all.json"
    assert main(["report", *map(str, files), "-o", str(output)]) == 0
    found = json.loads(output.read_text("utf-8"))
    assert found["seeds"] == [0, 1, 2]
    assert found["arms"]["flr"]["against random"]["user"]["won"]["value"] == 1.0


def test_the_numbers_of_a_policy_and_of_the_first_which_has_no_divergence():
    item = {
        "responses": {"a": ["four"]},
        "finish_reasons": {"a": ["length"]},
        "rewards": {"flr": {"a": [None]}, "length": {"a": [4.0]}},
    }
    known: dict[str, Any] = {name: {"value": 0.5} for name in OF_POLICY}
    for divergence in ({"value": 0.25}, None):
        results = {"policies": {"a": {"figures": {**known, "divergence": divergence}}}}
        view = {"items": [item], "checked": [{"passes": {"a": True}}], "results": results}
        found = measured({"user": view, "role-switched": view}, "a")
        assert found["reward, user"] == found["reward, role-switched"] == [None]
        assert (found["characters"], found["unfinished"]) == ([4.0], [1.0])
        assert (found["verifiable"], found["distinct_1"]) == ([1.0], 0.5)
        assert found.get("divergence") == (divergence and 0.25)
