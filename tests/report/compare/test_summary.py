from typing import Any

from flr.report.compare.summary import (
    alone_summary,
    headline,
    left_out,
    policy_summary,
    title,
)
from tests.report.compare.samples import FLR, sample


def figure(value: float | None, low: float | None, high: float | None, count: int = 40) -> Any:
    return {"value": value, "interval": [low, high], "count": count}


def said(**changes: Any) -> str:
    """What is said of round-1 where these figures of it are other ones."""
    results = sample()
    results["against"]["round-1"] |= changes
    return " ".join(policy_summary(results, "round-1"))


def test_who_wins_under_what_is_told_by_the_intervals():
    rates = {
        FLR: figure(0.7, 0.6, 0.8),
        "direct:mean": figure(0.3, 0.2, 0.4),
        "judge:M": figure(0.52, 0.4, 0.6),
        "length": figure(0.9, 0.8, 1.0),
    }
    words = said(win_rate=rates)
    assert words.startswith(
        f"Under {FLR}, the response of round-1 has the higher reward in 70.0 % [60.0, 80.0] of 40 "
        "pairs. By the 95 % interval, the win rate of round-1 against smollm2 is better than "
        f"chance under {FLR}; worse than chance under direct:mean; not distinguishable from chance "
        "under judge:M. "
    )


def test_what_is_left_at_similar_length_is_said():
    words = said(win_rate_similar_length={FLR: figure(0.55, 0.4, 0.7, 32)})
    assert (
        "Among pairs of similar length it wins 55.0 % [40.0, 70.0] of 32, not distinguishable from "
        "chance." in words
    )
    words = said(win_rate_similar_length={FLR: figure(0.75, 0.6, 0.9, 32)})
    assert "Among pairs of similar length it wins 75.0 % [60.0, 90.0] of 32." in words
    words = said(win_rate_similar_length={FLR: figure(0.9, 0.6, 1.0, 8)})
    assert "it wins 90.0 % [60.0, 100.0] of 8, too few to tell anything from chance." in words
    words = said(win_rate_similar_length={FLR: figure(None, None, None, 0)})
    assert "No pair has responses of similar length." in words


def test_length_is_always_said():
    words = said(longer=figure(0.8, 0.7, 0.9), characters_difference=figure(-12.5, -20.0, -5.0))
    assert "Its response is the longer one in 80.0 % [70.0, 90.0] of the pairs" in words
    assert "-12.5 [-20, -5] characters" in words


def test_what_the_verifiable_prompts_say():
    assert "not distinguishable from none" in said(verifiable_difference=figure(0.02, -0.1, 0.1))
    words = said(verifiable_difference=figure(0.2, 0.1, 0.3))
    assert "a difference of +20.0 [+10.0, +30.0] points, more than chance; 20.0 %" in words
    assert "of its responses to them are unfinished." in words
    assert "verifiable" not in said(verifiable_difference=None)


def test_of_few_prompts_nothing_is_told_from_chance():
    words = " ".join(policy_summary(sample(2, 19, 0), "round-1"))
    assert "With fewer than 20 pairs nothing can be told from chance." in words
    assert "than chance under" not in words


def test_where_length_is_the_only_reward():
    results = sample()
    results["rewards"] = ["length"]
    results["against"]["round-1"]["win_rate"] = {"length": figure(0.6, 0.5, 0.7)}
    assert headline(results) == "length"
    words = " ".join(policy_summary(results, "round-1"))
    assert words.startswith("Its response is the longer one in")


def test_divergence_is_said_where_there_is_one():
    assert "Where it writes, round-1 has moved 0.0405" in said()
    results = sample()
    results["policies"]["round-1"]["figures"]["divergence"] = None
    assert "moved" not in " ".join(policy_summary(results, "round-1"))


def test_one_policy_alone():
    results = sample(1)
    assert title(results) == "Responses of smollm2"
    first, second, third = alone_summary(results)
    assert first == "Only smollm2 was asked: there is nothing to compare it with."
    assert second.startswith(f"Mean {FLR}: ")
    assert third.endswith("verifiable prompts.")


def test_the_title_asks():
    assert title(sample()) == "Do responses of round-1 beat those of smollm2?"
    assert title(sample(3)) == "Whose responses beat those of smollm2?"


def test_reasons_of_one_kind_are_one():
    reasons = [f"{n} tokens, 96 are taken" for n in (100, 200, 300)]
    results = {"left_out": [["A", at, 0, one] for at, one in enumerate(reasons)]}
    results["left_out"].append(["A", "verifiable 2", None, "refused: 'tea'"])
    assert left_out(results) == [
        "A: 3 responses left out: 100 tokens, 96 are taken (the first of 3)",
        "A: 1 verifiable prompt not asked, and so not passed: refused: 'tea'",
    ]


def test_what_was_left_out_is_counted():
    assert left_out(sample()) == [
        "smollm2: 1 prompt left out: too long",
        "smollm2: 1 response left out: sly",
    ]
