"""What can be wrong with the content of a follow-up set, whether it came from a file or not.

What makes a set unusable (an empty list, an empty text, impossible weights) is fatal. What only
makes it a worse set (a duplicate, stray space, two styles of apostrophe) is told, and scored all
the same: numbers of published sets can be remade.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flr.errors import MAX_LISTED, FollowUpError
from flr.types import FollowUp, FollowUpSet

POLARITIES = {"positive": 1, "negative": -1}
"""The two lists of a category, in the order of a set, with the polarity of their follow-ups."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong; `fatal` where the set cannot be used, `line` 0 where there is no file."""

    place: str
    message: str
    fatal: bool = False
    line: int = 0

    def __str__(self) -> str:
        parts = (f"line {self.line}" if self.line else "", self.place, self.message)
        return ": ".join(part for part in parts if part)


def shown(text: str) -> str:
    """A text in quotes, its control characters escaped, its end left out where it is long."""
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."


def _about_weights(weights: Mapping[str, float]) -> Iterator[Finding]:
    for category, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            message = f"expected a finite number >= 0, got {weight!r}"
            yield Finding(f"{category}, weight", message, fatal=True)
    if weights and not any(weights.values()):
        yield Finding("weights", "all are 0; at least one must be above", fatal=True)


def _about_empty(texts: Iterable[FollowUp], categories: Iterable[str]) -> Iterator[Finding]:
    filled = {(followup.category, followup.polarity) for followup in texts}
    for category in categories:
        for word, polarity in POLARITIES.items():
            if (category, polarity) not in filled:
                message = f"empty: expected at least one {word} text"
                yield Finding(f"{category}, {word}", message, fatal=True)


def _about_text(place: str, text: str) -> Iterator[Finding]:
    kinds = {unicodedata.category(character) for character in text}
    if not text.strip():
        yield Finding(place, "empty text", fatal=True)
    elif text != text.strip():
        yield Finding(place, f"space at the beginning or end of {shown(text)}")
    if "Cs" in kinds:
        yield Finding(place, f"half of a surrogate pair in {shown(text)}", fatal=True)
    if "Cc" in kinds:
        yield Finding(place, f"line break or control character in {shown(text)}")


def _about_weight(place: str, weight: float) -> Iterator[Finding]:
    if not math.isfinite(weight) or weight <= 0:
        message = (
            f"expected a finite number above 0, got {weight!r}; to leave a text out, remove it"
        )
        yield Finding(f"{place}, weight", message, fatal=True)


def _about_repeats(texts: Mapping[str, FollowUp]) -> Iterator[Finding]:
    """A text that stands in the set more than once, told once for each place after the first."""
    first: dict[str, str] = {}
    for place, followup in texts.items():
        earlier = first.setdefault(followup.text, place)
        if earlier != place and followup.text.strip():
            alike = texts[earlier].polarity == followup.polarity
            what = "duplicate" if alike else "text in both polarities, so it cancels itself"
            yield Finding(place, f"{what}: {shown(followup.text)} is also {earlier}")


def _about_apostrophes(texts: Mapping[str, FollowUp]) -> Iterator[Finding]:
    straight = [place for place, f in texts.items() if re.search(r"\w'\w", f.text)]
    curly = [place for place, f in texts.items() if re.search(r"\w’\w", f.text)]
    if straight and curly:
        rarer = min(curly, straight, key=len)[0]
        yield Finding(
            rarer,
            f"mixed apostrophes: {len(straight)} texts of the set with ' and {len(curly)} with ’ "
            f"(they are different tokens), here {shown(texts[rarer].text)}",
        )


def about(texts: Mapping[str, FollowUp], weights: Mapping[str, float]) -> Iterator[Finding]:
    """What is wrong with follow-ups, each under its place, and the weights of all categories."""
    if not weights:
        yield Finding("categories", "empty: expected at least one", fatal=True)
    yield from _about_weights(weights)
    yield from _about_empty(texts.values(), weights)
    for place, followup in texts.items():
        yield from _about_text(place, followup.text)
        yield from _about_weight(place, followup.weight)
    yield from _about_repeats(texts)
    yield from _about_apostrophes(texts)


def about_set(followup_set: FollowUpSet) -> list[Finding]:
    """What is wrong with a set that is in memory; a text's number counts from 1 in its list."""
    words = {polarity: word for word, polarity in POLARITIES.items()}
    texts, sizes = dict[str, FollowUp](), Counter[str]()
    for followup in followup_set.followups:
        side = f"{followup.category}, {words[followup.polarity]}"
        sizes[side] += 1
        texts[f"{side} {sizes[side]}"] = followup
    weights = dict.fromkeys(followup_set.categories, 1.0) | dict(followup_set.weights)
    return list(about(texts, weights))


def refuse(label: str, findings: Iterable[Finding]) -> None:
    """Raise if any finding is fatal."""
    fatal = [f"{label}: {finding}" for finding in findings if finding.fatal]
    if len(fatal) > MAX_LISTED:
        fatal[MAX_LISTED:] = [f"{label}: and {len(fatal) - MAX_LISTED} more problems"]
    if fatal:
        hint = "See a set that is right: `flr followups show short`."
        raise FollowUpError("\n".join([*fatal, hint]))
