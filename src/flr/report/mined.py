"""What a run of `flr mine` found, as text to read: from its record alone."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

from flr.report.shown import printable

_LEFT_OUT = {
    "no_reward": "responses without a reward",
    "empty": "empty responses",
    "unfinished": "unfinished responses (--keep-unfinished keeps them)",
}
_WITHOUT = {
    "too_few": "with fewer than two responses left",
    "near_equal": "whose responses are near-equal",
    "length": "whose lengths do not match",
    "margin": "whose margin is not above the minimum",
}


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"


def _quantiles(name: str, values: Sequence[float]) -> Iterator[str]:
    if values:
        shown = "  ".join(map(_number, values))
        yield f"{name} (minimum, quartiles, maximum): {shown}"


def _long_lines(stages: Mapping[str, Any]) -> Iterator[str]:
    """What the models did not take, or not whole."""
    sampled = stages.get("sample", {})
    for what, words in (("skipped", "were not sampled"), ("cut", "lost their oldest turns")):
        if found := sampled.get(what):
            rows = ", ".join(str(one[0]) for one in found[:10])
            yield f"  {len(found):,} prompts {words}: rows {rows}"
    if cut := stages.get("score", {}).get("cut"):
        yield f"  {len(cut):,} responses were scored without the oldest turns of their prompts"


def _yield_lines(counts: Mapping[str, int]) -> Iterator[str]:
    for name, words in _LEFT_OUT.items():
        if counts[name]:
            yield f"  left out: {counts[name]:,} {words}"
    if "pairs" not in counts:
        if counts["near_equal"]:
            yield f"  left out: {counts['near_equal']:,} near-equal to another response"
        return
    for name, words in _WITHOUT.items():
        if counts[name]:
            yield f"  no pair: {counts[name]:,} prompts {words}"
    if counts["repeated"]:
        yield f"  left out: {counts['repeated']:,} pairs that say the same as another"


def _pair_lines(record: Mapping[str, Any]) -> Iterator[str]:
    counts = record["yield"]
    yield f"{counts['pairs']:,} pairs of {counts['with_pair']:,} prompts"
    floor = record["noise_floor"]
    off = "" if floor is None else f"; measured alone, a reward moved by up to {_number(floor)}"
    yield f"minimum margin {_number(record['min_margin'])}{off}"
    yield from _quantiles("margin", record["margin_quantiles"])
    if record["length_slope"] is not None:
        yield f"effect of length, taken out: {record['length_slope']:.3g} a character"
    if lengths := record["characters"]:
        yield (
            f"characters: chosen {lengths['chosen']:,.0f}, rejected {lengths['rejected']:,.0f}; "
            f"the chosen one is longer in {lengths['chosen_longer']:.1%} of the pairs"
        )
    for name, part in record["categories"].items():
        yield f"  {name}: margin {_number(part['margin'])}, {part['share']:.0%} of the whole"


def _label_lines(record: Mapping[str, Any]) -> Iterator[str]:
    counts, weights = record["yield"], record["weights"]
    yield (
        f"{counts['desirable']:,} desirable, {counts['undesirable']:,} undesirable, "
        f"{counts['ties_or_between']:,} without a label"
    )
    yield from _quantiles("reward", record["reward_quantiles"])
    for name, lengths in record["characters"].items():
        own = record["categories"][name].items()
        rewards = "".join(f", {category} {_number(mean)}" for category, mean in own)
        yield f"  {name}: {_number(lengths)} characters{rewards}"
    yield (
        f"weights that balance them: desirable_weight {weights['desirable_weight']}, "
        f"undesirable_weight {weights['undesirable_weight']}"
    )


def _example(example: Mapping[str, Any]) -> Iterator[str]:
    said = {True: ", desirable", False: ", undesirable", None: ""}[example.get("label")]
    margin = f", margin {_number(example['margin'])}" if "margin" in example else ""
    yield f"row {example['row']}{said}{margin}"
    rewards = {"chosen": "reward_chosen", "rejected": "reward_rejected", "response": "reward"}
    for name in ("prompt", *rewards):
        if name in example:
            told = f" ({_number(example[rewards[name]])})" if name in rewards else ""
            yield f"  {name}{told}"
            yield indent(printable(example[name]), "    ")


def text(record: Mapping[str, Any]) -> str:
    """The report.

    Args:
        record: of the run.

    Returns:
        Lines: what was left out and why, margins, lengths, categories, then pairs to read; the
        texts of data in it cannot move a terminal's cursor.
    """
    counts = record["yield"]
    lines = [f"{counts['responses']:,} responses to {counts['prompts']:,} prompts"]
    lines += [*_long_lines(record["stages"]), *_yield_lines(counts)]
    lines += _label_lines(record) if "weights" in record else _pair_lines(record)
    lines.append(f"{record['rows']:,} rows, and {record['rows_held_out']:,} held out")
    for example in record.get("examples", ()):
        lines += ["", *_example(example)]
    return "\n".join(lines)
