"""How a benchmark was made: what was left out of each set, what the passes did, with which options.

From `results.json` alone; nothing is escaped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flr.report.bench.words import NONE, counted, listed, share


def _skipped(skipped: Sequence[Sequence[str]]) -> str:
    """How many whole items and single responses could not be asked about."""
    singles = sum(place != "" for _, place, _ in skipped)
    counts = {"item": len(skipped) - singles, "single response": singles}
    return listed([counted(count, noun) for noun, count in counts.items() if count])


def set_counts(of_set: Mapping[str, Any]) -> str:
    """How many items, prompts and responses a set has, and what was left out of it."""
    nouns = {"items": "item", "groups": "prompt", "responses": "response"}
    sizes = ", ".join(counted(of_set[key], noun) for key, noun in nouns.items())
    left_out = [f"{reason}: {count:,}" for reason, count in of_set["left_out"].items() if count]
    sentences = [f"{sizes}."]
    if left_out:
        sentences.append(f"Left out of the set: {'; '.join(left_out)}.")
    if of_set["skipped"]:
        sentences.append(f"Skipped for every reward: {_skipped(of_set['skipped'])}.")
    if of_set["kind"] == "rating" and of_set["majority"]:
        sentences.append(f"The most common rating: {share(of_set['majority'])} of the responses.")
    return " ".join(sentences)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value under its name; what is inside a mapping under its name after a dot."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or NONE
    else:
        yield name, NONE if value is None else str(value)


def _pass_words(done: Mapping[str, Any]) -> str:
    """What a pass did, in one line."""
    parts = [
        counted(done["conversations"], "conversation"),
        f"{done['skipped']:,} of them skipped",
        f"{done['cut']:,} cut to fit the model",
        f"{done['tokens_run']:,} tokens run for {done['tokens_asked']:,} asked",
        f"{done['seconds']:,.1f} seconds",
    ]
    return "; ".join([", ".join(parts), *done["paths"]])


def how_made(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the results were made, as names and values: command, work, versions, options given."""
    first = {key: results[key] for key in ("flr", "command", "finished")}
    made_with = dict(results["made_with"])
    passes = [(f"pass {name}", _pass_words(done)) for name, done in made_with.pop("passes").items()]
    options = {name: value for name, value in results["options"].items() if value is not None}
    return [*_flat("", first), *passes, *_flat("", made_with), *_flat("options", options)]


def fingerprints(results: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Everything that changes the bits of a pass, as names and values, by pass."""
    passes = results["made_with"]["passes"]
    return {name: list(_flat("", done["made_with"])) for name, done in passes.items()}
