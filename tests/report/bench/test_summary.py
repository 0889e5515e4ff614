"""The sentences of a benchmark's reports."""

from typing import Any

from flr.report.bench.summary import set_summary, shown_reward, summary, title
from tests.report.bench.small import accuracy, figure, pairwise, spoilt


def test_a_set_says_what_its_intervals_exclude():
    rewards = {
        "flr": accuracy(0.6, 0.51, 0.69),
        "length": accuracy(0.4, 0.3, 0.49, figure(-0.2, -0.3, -0.1)),
        "best": accuracy(0.9, 0.8, 1.0, figure(0.3, 0.2, 0.4)),
        "random": accuracy(0.5, 0.5, 0.6, figure(-0.1, -0.2, 0.0)),
        "one": accuracy(0.7, None, None, figure(0.1)),
    }
    assert set_summary(pairwise(rewards), "flr") == [
        "Accuracy of flr: 60.0 % [51.0, 69.0].",
        "By the 95 % interval, better than chance (50 %): flr and best; worse than chance: length; "
        "not distinguishable from chance: random; without an interval: one.",
        "By the paired interval, flr is better than length; worse than best; "
        "not distinguishable from random; without an interval against one.",
    ]


def test_sentences_begin_with_a_capital_letter_whatever_comes_first():
    rewards = {"a": accuracy(0.4, 0.3, 0.45)}
    assert set_summary(pairwise(rewards), None)[1] == "Worse than chance: a."


def test_chance_of_a_correlation_is_zero():
    rewards = {"a": {"pearson": figure(0.1, 0.05, 0.2)}, "b": {"pearson": figure(0.1, -0.1, 0.3)}}
    said = set_summary(pairwise(rewards, kind="rating"), None)[1]
    assert said == (
        "By the 95 % interval, better than chance (0): a; not distinguishable from chance: b."
    )


def test_the_whole_says_how_the_reference_stands():
    def of_set(low: float, high: float, length: tuple[float, float] | None) -> dict[str, Any]:
        rewards = {"flr": accuracy(0.5, low, high)}
        if length is not None:
            rewards["length"] = accuracy(0.5, 0.4, 0.6, figure(0.0, *length))
        return pairwise(rewards)

    sets = {
        "a": of_set(0.6, 0.7, (-0.2, -0.1)),
        "b": of_set(0.4, 0.7, (-0.1, 0.1)),
        "c": of_set(0.6, 0.7, (0.1, 0.2)),
        "d": of_set(0.3, 0.4, None),
        "e": pairwise({"length": accuracy(0.5, 0.4, 0.6)}),
    }
    assert summary({"reference": "flr", "sets": sets}) == [
        "By its 95 % interval, flr agrees with people better than chance on a and c; "
        "agrees worse than chance on d; cannot be told from chance on b.",
        "Against the response's length, by the paired interval, it is better on a; worse on c; "
        "not distinguishable from it on b.",
    ]
    assert len(summary({"reference": "length", "sets": sets})) == 1
    assert "first reward" in summary({"reference": None, "sets": sets})[0]
    assert summary({"reference": "flr", "sets": {}}) == ["No set was benchmarked."]


def test_the_first_reward_is_shown_where_the_reference_is_not():
    rewards = {"a": {}, "b": {}}
    assert [shown_reward({"rewards": rewards}, name) for name in ("b", "c", None)] == [
        "b",
        "a",
        "a",
    ]
    assert shown_reward({"rewards": {}}, "b") is None
    assert set_summary(pairwise({}), "b") == ["No reward was computed on this set."]


def test_chance_is_that_of_the_set():
    rewards = {"a": {"accuracy": figure(0.4, 0.3, 0.45), "difference": None}}
    assert set_summary(pairwise(rewards, chance=0.25), None)[1] == (
        "By the 95 % interval, better than chance (25 %): a."
    )
    assert set_summary(pairwise(rewards), None)[1] == "Worse than chance: a."


SUBSETS = {"as rated": figure(0.1), "empty": figure(0.98, 0.95, 1.0), "cut": figure(0.31, 0.2, 0.4)}


def test_a_set_of_spoilt_responses_says_what_fools_a_reward():
    rewards = {"flr": SUBSETS, "a": {"cut": figure(0.5), "empty": figure(0.0)}, "b": {}}
    assert set_summary(spoilt(rewards), "flr") == [
        "flr ranks the good response above: as rated 10.0 %, empty 98.0 % [95.0, 100.0], "
        "cut 31.0 % [20.0, 40.0], and is fooled most by cut (31.0 %).",
        "The others are fooled most as follows: a by empty (0.0 %) and b by –.",
    ]
    assert len(set_summary(spoilt({"flr": SUBSETS}), "flr")) == 1


def test_the_whole_says_what_fools_the_reference_and_no_more():
    sets = {"robustness of x": spoilt({"flr": SUBSETS, "length": SUBSETS})}
    results = {"reference": "flr", "sets": sets}
    assert summary(results) == [
        "On robustness of x, flr is fooled most by cut: the good response ranks above it in "
        "31.0 % [20.0, 40.0] of the pairs."
    ]
    assert title(results) == "Can a reward be fooled?"
    nothing = {"reference": "flr", "sets": {"y": spoilt({"flr": {"cut": figure(None)}})}}
    assert summary(nothing) == ["There is no figure of flr on y."]
    judged = {"z": pairwise({"flr": accuracy(0.6, 0.51, 0.69)})}
    first, second = summary({"reference": "flr", "sets": judged | sets})
    assert first == "By its 95 % interval, flr agrees with people better than chance on z."
    assert second.startswith("On robustness of x, flr is fooled")
    assert "people" in title({"sets": judged | sets})
    assert "people" in title({"sets": {}})


def test_of_few_prompts_nothing_is_said_to_be_told():
    few = pairwise({"flr": accuracy(1.0, 1.0, 1.0)}, groups=19)
    assert set_summary(few, "flr")[1:] == [
        "With fewer than 20 prompts nothing can be told from chance."
    ]
    assert summary({"reference": "flr", "sets": {"few": few}}) == []
