"""What the page of a loop shows: a line chart a quantity, a table of the rounds, what was mined.

A round's policy is named `round K` in the evaluation; round 0 is the first policy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flr.report.bars import Panel, percents
from flr.report.compare.summary import policy_summary
from flr.report.loop.figures import rounds
from flr.report.svg import size
from flr.report.tables import Table
from flr.report.words import NONE, Figure, points, reward_value, share, short

Results = Mapping[str, Any]


def _of_rounds(results: Results, *keys: str) -> list[Figure | None]:
    """One figure of every round's policy."""
    found: list[Figure | None] = []
    for policy in results["evaluation"]["policies"].values():
        place = policy["figures"]
        for key in keys:
            place = None if place is None else place.get(key)
        found.append(place)
    return found


def _judges(results: Results) -> list[str]:
    return [name for name in results["evaluation"]["rewards"] if name != "length"]


def _quantities(
    results: Results,
) -> Iterator[tuple[str, str, list[Figure | None], Callable[..., str], str]]:
    """Title, name of the axis, figures, how a tick is worded, and what to know."""
    for reward in _judges(results):
        yield (
            "Reward on held-out prompts",
            "Mean reward",
            _of_rounds(results, "reward", reward),
            size,
            f"By {reward}: categories that chose no pair.",
        )
    passed = _of_rounds(results, "verifiable", "pass_rate")
    yield ("Verifiable prompts passed", "Passed", passed, percents, "A program checks them.")
    length = _of_rounds(results, "characters")
    yield ("Length of the responses", "Characters", length, size, "Mean characters of a response.")
    unfinished = _of_rounds(results, "unfinished")
    yield ("Unfinished responses", "Cut off", unfinished, percents, "Cut off at the token limit.")
    moved = _of_rounds(results, "divergence")
    if any(moved):
        moved[0] = {"value": 0.0, "interval": [None, None], "count": 0}  # from itself
    told = "KL from the first policy, nats a token, at what the policy itself writes."
    yield ("Distance from the first policy", "Nats a token", moved, size, told)


def panels(results: Results) -> list[Panel]:
    """A line chart over the rounds for everything that was measured."""
    drawn: list[Panel] = []
    for at, (title, axis, figures, word, caption) in enumerate(_quantities(results)):
        if any(figure is not None for figure in figures):
            svg = rounds(figures, axis, f"rounds-{at}", f"{title}, by round", word)
            drawn.append(Panel(title, svg, f"{caption} Lines: 95 % intervals; dashed: round 0."))
    return drawn


def _stages(results: Results, stage: str) -> dict[int, Mapping[str, Any]]:
    return {one["round"]: one for one in results["stages"] if one["stage"] == stage}


def rounds_table(results: Results) -> Table:
    """A column a round: how its policy is judged, beside the first one."""
    evaluation = results["evaluation"]
    columns: dict[str, Mapping[str, str]] = {}
    for name, policy in evaluation["policies"].items():
        figures, against = policy["figures"], evaluation["against"].get(name, {})
        passed = figures["verifiable"] or {}
        wins, similar = (against.get(key, {}) for key in ("win_rate", "win_rate_similar_length"))
        columns[name] = {
            **{
                f"Reward, {one}": reward_value(figures["reward"].get(one))
                for one in _judges(results)
            },
            **{f"Won, {one}": share(wins.get(one)) for one in _judges(results)},
            **{
                f"Won at similar length, {one}": share(similar.get(one)) for one in _judges(results)
            },
            "Characters": reward_value(figures["characters"]),
            "Unfinished": share(figures["unfinished"]),
            "Verifiable prompts passed": share(passed.get("pass_rate")),
            "Less the first policy, points": points(against.get("verifiable_difference")),
            "KL, nats a token": reward_value(figures["divergence"]),
        }
    names = next(iter(columns.values()))
    rows = ((name, *(column[name] for column in columns.values())) for name in names)
    shown = tuple(row for row in rows if set(row[1:]) - {NONE})
    notes = (
        f"Won: share of pairs with the higher reward than {evaluation['reference']}, ties half.",
    )
    return Table("The policy of each round", ("", *columns), shown, notes)


def mined_table(results: Results) -> Table:
    """A row a round: what was sampled, mined and learnt."""
    sampled, mined, trained = (_stages(results, one) for one in ("sample", "mine", "align"))
    rows = tuple(
        (
            f"round {number}",
            short(one["found"].get("responses")),
            short(mined.get(number, {}).get("found", {}).get("rows")),
            short(trained.get(number, {}).get("found", {}).get("steps")),
            short(trained.get(number, {}).get("found", {}).get("loss, first")),
            short(trained.get(number, {}).get("found", {}).get("loss, last")),
        )
        for number, one in sorted(sampled.items())
    )
    header = ("Round", "Responses", "Rows mined", "Steps", "Loss, first", "Loss, last")
    return Table("What each round was trained on", header, rows)


def time_table(results: Results) -> Table:
    """A row a stage: the seconds of each round."""
    numbers = range(results["rounds"] + 1)
    names = list(dict.fromkeys(one["stage"] for one in results["stages"]))
    rows = tuple(
        (name, *(short(_stages(results, name).get(n, {}).get("seconds")) for n in numbers))
        for name in names
    )
    return Table("Seconds", ("Stage", *(f"round {n}" for n in numbers)), rows)


def sentences(results: Results) -> list[str]:
    """What came out, a sentence each: the last round's policy beside the first one."""
    evaluation, halves = results["evaluation"], results["halves"]
    split = (
        f"Pairs were chosen by {halves['choosing']}; policies are judged by {halves['judging']}, "
        f"on {evaluation['prompts']['count']:,} prompts that were kept apart."
    )
    return [split, *policy_summary(evaluation, list(evaluation["against"])[-1])]


def tables(results: Results) -> Sequence[Table]:
    """All tables of the page."""
    return [rounds_table(results), mined_table(results), time_table(results)]
