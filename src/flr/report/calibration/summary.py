"""What a calibration came to, in words and tables, from the record that lies beside the set."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flr.report.tables import Table
from flr.report.words import LEAST_PROMPTS, counted, points, share, short, side_of

Record = Mapping[str, Any]

_FOUND = {
    "above": "With these weights it is better on other prompts.",
    "below": "With these weights it is worse on other prompts.",
    "on": "That is not told from chance.",
    "unknown": "That is too little to say.",
}


def _few_enough(curve: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The shortest part of the order as good as the whole: inside the interval of all follow-ups.

    None where that is all of them, or nothing is known.
    """
    low = curve[-1]["accuracy"]["interval"][0]
    if low is None:
        return None
    found = next(one for one in curve if one["accuracy"]["value"] >= low)
    return None if found is curve[-1] else found


def sentences(record: Record) -> Iterator[str]:
    """What came out, a sentence each."""
    counts, accuracy = record["counts"], record["accuracy"]
    yield (
        f"Learned from {counts['learned from']:,} prompts, measured on {counts['held out']:,} "
        "others."
    )
    difference = accuracy["difference"]
    side = side_of(difference, 0.0) if counts["held out"] >= LEAST_PROMPTS else "unknown"
    yield (
        f"Accuracy {share(accuracy['before'])} before and {share(accuracy['after'])} after, "
        f"{points(difference)} points. {_FOUND[side]}"
    )
    dropped = record["dropped"]
    if dropped["followups"]:
        whole = f", of them all of {', '.join(dropped['categories'])}"
        yield (
            f"{counted(dropped['followups'], 'follow-up')} of {len(record['followups'])} were "
            f"dropped{whole if dropped['categories'] else ''}."
        )
    if record["penalty"] == "infinity":
        yield "No other weights were told from the ones that the set has, so these stayed."
    few = _few_enough(record["curve"])
    if few is not None:
        yield (
            f"{few['followups']} of {record['curve'][-1]['followups']} follow-ups, with their "
            f"weights as they were, come to {share(few['accuracy'])}: inside the interval of all."
        )


def category_table(record: Record) -> Table:
    """A row a category: its part in the reward, before and after."""
    rows = tuple(
        (name, f"{100 * one['before']:.1f} %", f"{100 * one['after']:.1f} %")
        for name, one in record["categories"].items()
    )
    return Table("What each category weighs", ("Category", "Before", "After"), rows)


def followup_table(record: Record) -> Table:
    """A row a follow-up, the heaviest first."""
    ranked = sorted(record["followups"], key=lambda one: (-one["after"], -one["before"]))
    rows = tuple(
        (
            f"{'+' if one['polarity'] > 0 else '-'} {one['text']}",
            one["category"],
            f"{100 * one['before']:.2f} %",
            f"{100 * one['after']:.2f} %",
        )
        for one in ranked
    )
    notes = ("Part of all positive, or of all negative follow-ups.",)
    header = ("Follow-up", "Category", "Before", "After")
    return Table("What each follow-up weighs", header, rows, notes)


def curve_table(record: Record) -> Table:
    """A row a number of follow-ups."""
    rows = tuple(
        (
            f"{one['followups']}",
            share(one["accuracy"]),
            f"{100 * one['random']:.1f} %",
            f"{100 * one['lowest']:.1f} to {100 * one['highest']:.1f} %",
        )
        for one in record["curve"]
    )
    header = ("Follow-ups", "The most useful", "Random ones, mean", "Range")
    return Table("How many are enough", header, rows, ("Weights as they were.",))


def penalty_table(record: Record) -> Table:
    """A row a penalty: how well it predicts prompts that it was not fitted to."""
    rows = tuple(
        (
            f"{one['penalty']}" + (" (taken)" if one["penalty"] == record["penalty"] else ""),
            short(one["loss"]),
            short(one["excess"]),
            short(one["error"]),
        )
        for one in record["penalties"]
    )
    header = ("Penalty", "Loss, nats", "More than the best", "Standard error of that")
    return Table("How far the weights may go", header, rows)


def tables(record: Record) -> list[Table]:
    """All tables of the page."""
    penalties = [penalty_table(record)] if record["penalties"] else []
    return [category_table(record), followup_table(record), curve_table(record), *penalties]
