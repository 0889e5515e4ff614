"""The rules by which a program judges a response: one pure function a kind of prompt.

Each takes the response and the arguments of one prompt, and says whether the response does what
was asked. No rule passes an empty response or one without a word. What no rule may pass whatever
the kind (a copy of the prompt, one sentence over and over) is `VerifiablePrompt.passes`' to see.
Form is judged to the letter, but only the form that is the kind's: no rule counts sentences or sees
whether an answer is a name and nothing else. Content is judged only as far as single words go.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from flr.verifiable.json_rule import json_keys
from flr.verifiable.text import mentioned_first, mentions, numbers, states, touches, words_of

ENOUGH = 4
"""How many words a response needs besides those that it was told to say."""

FORMS = ("hyphens", "numbers", "commas")
"""How the items of a list may be set apart."""


def number(response: str, *, answer: float | int, given: Collection[float | int] = ()) -> bool:
    """Whether a response states this number and no other.

    Numbers of the question and steps on the way may stand beside it, with either sign. So a bare
    number passes, and so does `17 + 25 = 42`; two candidates and a range fail.

    Args:
        response: the text.
        answer: the number asked for.
        given: the numbers that may stand beside it.

    Example:
        >>> number("It's 42 km.", answer=42), number("Forty-two", answer=42)
        (True, True)
        >>> number("17 plus 25 is 42", answer=42, given=[17, 25])
        True
        >>> number("between 40 and 45", answer=42), number("42 or 43", answer=42)
        (False, False)
    """
    stated = [value for value in numbers(response) if abs(value) not in given]
    return bool(stated) and all(value == answer for value in stated)


_MARKERS = {"hyphens": r"-(?!-)\s*", "numbers": r"\**\(?\d+[.)]\**\s+", "": r"[*+•–]\s+"}
"""What may stand before an item; the last are bullets, for which no prompt asks."""

_ITEM = re.compile(rf"(\s*)({'|'.join(_MARKERS.values())})(\S.*)")
_LONGEST = 4
"""Words of an item between commas; longer ones are the parts of a sentence."""


def _in_lines(response: str, marker: str) -> list[str]:
    """The lines with a marker before them, if all have this one; indented ones are details."""
    matches = [match for match in map(_ITEM.match, response.splitlines()) if match]
    indents = [len(match[1].expandtabs()) for match in matches]
    least = min(indents, default=0) + 2
    outer = [match for match, indent in zip(matches, indents, strict=True) if indent < least]
    right = all(re.fullmatch(marker, match[2]) for match in outer)
    return [match[3] for match in outer] if right else []


def _in_commas(response: str) -> list[str]:
    """The parts between commas, of a response that is one line of nothing else; else none."""
    line = response.strip().removesuffix(".")
    *parts, last = re.split(r",\s*(?:and\s|or\s)?", line)
    found = [*parts, *(re.split(r"\sand\s", last) if parts else [last])]
    short = all(0 < len(words_of(part)) <= _LONGEST for part in found)
    bare = ":" not in line and not mentions(line, "is", "are")
    return [part.strip() for part in found] if short and bare and "\n" not in line else []


def items(
    response: str,
    *,
    count: int,
    form: str,
    among: Sequence[Sequence[str]] = (),
    about: Sequence[str] = (),
) -> bool:
    """Whether a response is a list of exactly so many different things.

    In `hyphens` and `numbers`, each line that begins with such a marker is an item, and none may
    begin with another; which numbers they are is not judged. Other lines (an introduction) do not
    count, nor do items indented below others. In `commas`, the response is the list and nothing
    else, on one line, each item at most four words; an `and` before the last one is no matter.

    Args:
        response: the text.
        count: how many items.
        form: one of `FORMS`.
        among: things, each with all its names. Every item is the one of them that it mentions
            first, and no two are the same; empty where anything may be an item.
        about: beginnings of words, one of which has to occur; empty where `among` says it.

    Example:
        >>> items("- red\\n- blue", count=2, form="hyphens")
        True
        >>> items("1. red\\n2. blue", count=2, form="hyphens")
        False
        >>> seasons = [["autumn", "fall"], ["winter"]]
        >>> items("fall, winter", count=2, form="commas", among=seasons)
        True
        >>> items("fall, autumn", count=2, form="commas", among=seasons)
        False
    """
    found = _in_commas(response) if form == "commas" else _in_lines(response, _MARKERS[form])
    words = [" ".join(words_of(item)) for item in found]
    things = [mentioned_first(item, among) for item in found] if among else words
    distinct = len(things) == len({*things} - {"", None}) == count
    return distinct and touches(response, *about)


def contains(response: str, *, words: Sequence[str], about: Sequence[str] = ()) -> bool:
    """Whether a response has all these words in it, whole, and at least four others around them.

    Args:
        response: the text.
        words: words or phrases.
        about: beginnings of words, one of which has to occur.

    Example:
        >>> contains("The moon shone over a quiet river.", words=["river", "moon"])
        True
        >>> contains("river moon", words=["river", "moon"])
        False
    """
    told = sum(len(words_of(phrase)) for phrase in words)
    found = all(mentions(response, phrase) for phrase in words)
    return found and len(words_of(response)) >= told + ENOUGH and touches(response, *about)


def avoids(response: str, *, words: Sequence[str], about: Sequence[str]) -> bool:
    """Whether a response does without these words, and yet says at least four about its subject.

    Args:
        response: the text.
        words: words or phrases; only whole ones are forbidden.
        about: beginnings of words, one of which has to occur.

    Example:
        >>> rule = {"words": ["white"], "about": ["snow", "flake"]}
        >>> avoids("Snow covers the silent hills.", **rule), avoids("White snow falls.", **rule)
        (True, False)
        >>> avoids("", **rule), avoids("I cannot help you there.", **rule)
        (False, False)
    """
    free = not mentions(response, *words)
    return free and len(words_of(response)) >= ENOUGH and touches(response, *about)


def lower_case(response: str, *, about: Sequence[str]) -> bool:
    """Whether a response has letters, none of them a capital, and touches its subject.

    Args:
        response: the text.
        about: beginnings of words, one of which has to occur.

    Example:
        >>> lower_case("the sea is calm.", about=["sea"]), lower_case("The sea", about=["sea"])
        (True, False)
    """
    letters = [one for one in response if one.isalpha()]
    small = not any(one.isupper() or one.istitle() for one in letters)
    return bool(letters) and small and touches(response, *about)


_AROUND = " \t\r\n\"'*_`“”‘’"


def ends_with(response: str, *, sentence: str, about: Sequence[str]) -> bool:
    """Whether a response says at least four words about its subject and then, last, this sentence.

    The sentence has to stand there to the letter; white space, quotation marks and Markdown's
    emphasis around it do not count, nor the style of its apostrophes, nor a full stop after one
    that ends in a word, as a signature does.

    Args:
        response: the text.
        sentence: what has to stand last, with its full stop where it needs one.
        about: beginnings of words, one of which has to occur before the sentence.

    Example:
        >>> rule = {"sentence": "Enjoy your meal.", "about": ["bread", "flour"]}
        >>> ends_with("Bread is baked from dough. Enjoy your meal.\\n", **rule)
        True
        >>> ends_with("Enjoy your meal.", **rule), ends_with("Bread is baked from dough.", **rule)
        (False, False)
    """
    text, last = (" ".join(one.replace("’", "'").split()) for one in (response, sentence))
    text = text.rstrip(_AROUND + "." * last[-1:].isalnum())
    before = text.removesuffix(last)
    said = before != text and not before[-1:].isalnum()
    return said and len(words_of(before)) >= ENOUGH and touches(before, *about)


def most_words(response: str, *, limit: int, about: Sequence[str]) -> bool:
    """Whether a response has at most so many words, and one of them touches its subject.

    Args:
        response: the text.
        limit: how many words.
        about: beginnings of words, one of which has to occur.

    Example:
        >>> most_words("It falls as rain.", limit=5, about=["rain", "snow"])
        True
        >>> most_words("Hi", limit=5, about=["rain", "snow"])
        False
    """
    return len(words_of(response)) <= limit and touches(response, *about)


def fact(response: str, *, answers: Sequence[str], wrong: Sequence[str]) -> bool:
    """Whether a response names the answer, and none of those that people mistake for it.

    Both are looked for as whole words; what stands right after `not` is taken for denied.

    Args:
        response: the text.
        answers: all accepted spellings.
        wrong: other candidates; one of them is hedging.

    Example:
        >>> rule = {"answers": ["Canberra"], "wrong": ["Sydney", "Melbourne"]}
        >>> fact("It is Canberra, not Sydney.", **rule), fact("Canberra or Sydney", **rule)
        (True, False)
    """
    return states(response, *answers) and not states(response, *wrong)


CHECKS: Mapping[str, Callable[..., bool]] = {
    check.__name__: check
    for check in (
        number,
        items,
        contains,
        avoids,
        lower_case,
        ends_with,
        json_keys,
        most_words,
        fact,
    )
}
"""The rule of each kind of prompt, by its name."""
