"""What was left out of each set of a benchmark; from `results.json` alone, nothing is escaped."""

from collections.abc import Mapping, Sequence
from typing import Any

from flr.report.words import counted, listed, share


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
