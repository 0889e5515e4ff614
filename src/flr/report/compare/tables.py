"""The tables of a comparison: what `results.md` and `report.html` both show."""

from collections.abc import Mapping
from typing import Any

from flr.report.compare.summary import LENGTH
from flr.report.tables import Table, Word, parts_table
from flr.report.words import NONE, Figure, points, reward_value, share, share_of, short

AGAINST_NOTES = (
    "Win rate: share of pairs (responses to one prompt, drawn with the same seed) in which this "
    "policy's response has the higher reward; equal rewards count half.",
    "Similar length: pairs whose lengths differ by at most 25 % of the longer one.",
    f"The win rate under {LENGTH} is the share of pairs in which this policy's response is the "
    "longer one: a reward that follows length is won by it.",
    "Difference: mean reward minus that of the other policy, unit of the reward.",
    "Inside noise floor: pairs of which rounding may have decided: their rewards differ by at most "
    "twice the floor (in brackets: how far one reward may be off).",
)

_MEASURES: tuple[tuple[str, str, Word], ...] = (
    ("Characters", "characters", reward_value),
    ("Tokens", "tokens", reward_value),
    ("Unfinished", "unfinished", share),
    ("Empty", "empty", share),
    ("Distinct-1", "distinct_1", reward_value),
    ("Distinct-2", "distinct_2", reward_value),
    ("Distinct-2, all responses", "distinct_2_across", reward_value),
    ("KL from the first policy, nats a token", "divergence", reward_value),
)

POLICY_NOTES = (
    "Means over responses. Unfinished: cut off at the token limit.",
    "Distinct-n: different n-grams of words over all n-grams; all responses: of them together.",
    "KL: how far the policy has moved, where it writes itself.",
)


def _inside_floor(results: Mapping[str, Any], name: str, reward: str) -> str:
    inside = results["against"][name]["inside_floor"].get(reward)
    floor = results["noise_floor"].get(reward)
    return NONE if inside is None else f"{inside:,} (±{short(floor)})"


def against_table(results: Mapping[str, Any], name: str) -> Table:
    """A row a reward: one policy held against the reference."""
    figures = results["against"][name]
    rows = tuple(
        (
            reward,
            share(rate),
            share_of(figures["win_rate_similar_length"].get(reward)),
            reward_value(figures["difference"].get(reward)),
            _inside_floor(results, name, reward),
        )
        for reward, rate in figures["win_rate"].items()
    )
    header = ("Reward", "Win rate", "At similar length", "Difference", "Inside noise floor")
    return Table(f"{name} against {results['reference']}", header, rows, AGAINST_NOTES)


def category_tables(results: Mapping[str, Any], name: str) -> list[Table]:
    """Win rates by category of follow-ups, a column a reward of the same categories."""
    by_reward: Mapping[str, Mapping[str, Figure]] = results["against"][name]["win_rate_by_category"]
    groups: dict[tuple[str, ...], dict[str, Mapping[str, Figure]]] = {}
    for reward, figures in by_reward.items():
        groups.setdefault(tuple(figures), {})[reward] = figures
    tables = [
        parts_table(f"Win rate of {name} by category", "Category", columns, share, count=False)
        for columns in groups.values()
    ]
    return [table for table in tables if table is not None]


def policies_table(results: Mapping[str, Any]) -> Table:
    """A row a measure, a column a policy: what its responses are like, and its mean rewards."""
    figures = [one["figures"] for one in results["policies"].values()]
    rows = [(title, *(word(of[key]) for of in figures)) for title, key, word in _MEASURES]
    rows += [
        (f"Reward {reward}", *(reward_value(of["reward"].get(reward)) for of in figures))
        for reward in results["rewards"]
        if reward != LENGTH
    ]
    kept = tuple(row for row in rows if set(row[1:]) - {NONE})
    return Table("The responses of each policy", ("", *results["policies"]), kept, POLICY_NOTES)


def verifiable_table(results: Mapping[str, Any]) -> Table | None:
    """A row a kind of verifiable prompts, a column a policy; None where none were asked."""
    passed = {name: one["figures"]["verifiable"] for name, one in results["policies"].items()}
    if not all(passed.values()):
        return None
    columns = {
        name: {"all": one["pass_rate"], **one["by_kind"], "unfinished responses": one["unfinished"]}
        for name, one in passed.items()
    }
    table = parts_table("Verifiable prompts passed", "Kind", columns, share, count=True)
    notes = tuple(
        f"{name} less {results['reference']}: {points(one['verifiable_difference'])} points."
        for name, one in results["against"].items()
    )
    assert table is not None, "there are kinds"
    return Table(table.title, table.header, table.rows, notes)


def shared_tables(results: Mapping[str, Any]) -> list[Table]:
    """The tables of all policies together."""
    checked = verifiable_table(results)
    return [policies_table(results), *([checked] if checked else [])]
