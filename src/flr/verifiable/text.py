"""What a program can see in a response without understanding it: words, numbers, copies.

Case never counts here, nor do the two styles of apostrophe or composed and decomposed accents.
Nothing here knows of prompts' kinds; the rules that are built of these are `checks`'.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"\w+(?:[-']\w+|[.,]\d+)*")

_RUN = 4
"""How many words in a row make a run: seldom the same in two texts by chance."""

_COPIED = 0.8
"""The share of runs from which on a response is a copy; an answer in a whole sentence has less."""


def plain(text: str) -> str:
    """A text as it is compared: case folded, accents composed, apostrophes straight.

    Example:
        >>> plain("DON’T")
        "don't"
    """
    return unicodedata.normalize("NFC", text.casefold()).replace("’", "'")


def words_of(text: str) -> list[str]:
    """The words of a text in order; what a hyphen, apostrophe or decimal point joins is one.

    Example:
        >>> words_of("Don't pay 2.50 for a well-known thing!")
        ["don't", 'pay', '2.50', 'for', 'a', 'well-known', 'thing']
    """
    return _WORD.findall(plain(text))


def _search(before: str, phrases: Sequence[str], after: str, text: str) -> re.Match[str] | None:
    either = "|".join(re.escape(_line(phrase)) for phrase in phrases)
    return re.search(f"{before}(?:{either}){after}", _line(text))


def _line(text: str) -> str:
    return " ".join(plain(text).split())


def mentions(text: str, *phrases: str) -> bool:
    """Whether one of these words or phrases stands in a text, whole and in one piece.

    Example:
        >>> mentions("Icy rain. New\\nYork", "new york"), mentions("Icy rain", "ice", "snow")
        (True, False)
    """
    return _search(r"(?<!\w)", phrases, r"(?!\w)", text) is not None


def mentioned_first(text: str, things: Sequence[Sequence[str]]) -> int | None:
    """Which of these things, each given by all its names, a text mentions before the others.

    Example:
        >>> things = [["autumn", "fall"], ["winter"]]
        >>> mentioned_first("Winter, before fall", things), mentioned_first("spring", things)
        (1, None)
    """
    matches = [_search(r"(?<!\w)", names, r"(?!\w)", text) for names in things]
    places = [(match.start(), place) for place, match in enumerate(matches) if match]
    return min(places)[1] if places else None


_DENIED = "".join(rf"(?<!\bnot {word})" for word in ("", "a ", "an ", "the ", "in ", "by "))


def states(text: str, *phrases: str) -> bool:
    """Whether a text mentions one of these phrases, and not only right after a `not`.

    Example:
        >>> states("Not Oslo but Rome.", "Oslo"), states("Not Oslo but Rome.", "Rome")
        (False, True)
    """
    return _search(rf"(?<!\w){_DENIED}", phrases, r"(?!\w)", text) is not None


def touches(text: str, *beginnings: str) -> bool:
    """Whether some word of a text begins in one of these ways; true where there is no way.

    Example:
        >>> touches("The waves roll in.", "sea", "wave"), touches("A microwave.", "wave")
        (True, False)
    """
    return _search(r"(?<!\w)", beginnings, "", text) is not None


def _runs(text: str, length: int) -> list[tuple[str, ...]]:
    found = words_of(text)
    return [tuple(found[at : at + length]) for at in range(len(found) - length + 1)]


def echoes(response: str, prompt: str) -> bool:
    """Whether a response is a copy of the prompt, or of a part of it.

    It is where at least four in five of its runs of four words stand in the prompt; a shorter
    response is one run.

    Example:
        >>> prompt = "How many eggs are in three boxes of six eggs?"
        >>> echoes("How many eggs are in three boxes?", prompt), echoes("Six eggs", prompt)
        (True, True)
        >>> echoes("There are 18 eggs in three boxes of six eggs.", prompt)
        False
    """
    length = min(_RUN, len(words_of(response)))
    own, theirs = _runs(response, length), set(_runs(prompt, length))
    return length > 0 and sum(run in theirs for run in own) >= _COPIED * len(own)


def repeats_itself(response: str) -> bool:
    """Whether a response says the same over and over.

    It does where fewer than half of its runs of three words are distinct: a sentence said three
    times and more, whatever its punctuation; said twice, it is not yet.

    Example:
        >>> repeats_itself("It is six. It is six. It is six. It is six.")
        True
        >>> repeats_itself("It is six. Yes, it is six.")
        False
    """
    runs = _runs(response, 3)
    return 2 * len(set(runs)) < len(runs)


_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ROOTS = ("six", "seven", "eigh", "nine")
_TEENS = ["eleven", "twelve", *(f"{root}teen" for root in ("thir", "four", "fif", *_ROOTS))]
_TENS = [f"{root}ty" for root in ("twen", "thir", "for", "fif", *_ROOTS)]
_VALUES = {
    **{word: value for value, word in enumerate([*_UNITS, *_TEENS])},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
}
_UNIT = "|".join(_UNITS[1:10])
_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[-\s](?:{_UNIT})\b)?|{'|'.join(_TEENS + _UNITS)})"
_HUNDREDS = rf"(?:(?:(?:{_SMALL}|a)\s)?hundred(?:\s(?:and\s)?{_SMALL}\b)?|{_SMALL})"
_SPELLED = rf"(?:(?:(?:{_HUNDREDS}|a)\s)?thousand(?:,?\s(?:and\s)?{_HUNDREDS}\b)?|{_HUNDREDS})"
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]])[-−–]|\b(?:minus|negative)\s)?"
    r"(?:(?<!\w)(?P<digits>(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
    rf"|\b(?P<spelled>{_SPELLED})\b)"
)


def _value(spelled: str) -> int:
    """The value of a number in words, below a million."""
    thousands = below = 0
    for word in re.findall(r"[a-z]+", spelled):
        if word == "thousand":
            thousands, below = 1000 * (below or 1), 0
        elif word == "hundred":
            below = 100 * (below or 1)
        else:
            below += _VALUES.get(word, 0)  # `a` and `and` have none
    return thousands + below


def _found(text: str) -> Iterator[tuple[str, float]]:
    for match in _NUMBER.finditer(text):
        digits, spelled = match["digits"], match["spelled"]
        value = float(re.sub(r"[,\u00a0\u202f]", "", digits)) if digits else float(_value(spelled))
        yield match[0], -value if match["sign"] else value


def numbers(text: str) -> list[float]:
    """The numbers in a text in order, in digits of any script or in words below a million.

    Commas and narrow spaces part thousands, a point begins decimals, a minus sign or `minus` makes
    negative. What has a letter before it (H2O) is none, `one` counts only where nothing else does
    (`the right one`), and ordinals in words (`fifth`), fractions and Roman numerals do not count.

    Example:
        >>> numbers("Not one of the 1,250 cost $2.50, but minus 3 or forty-two.")
        [1250.0, 2.5, -3.0, 42.0]
        >>> numbers("Just one.")
        [1.0]
    """
    found = list(_found(plain(text)))
    sure = [value for written, value in found if written != "one"]
    return sure or [value for _, value in found]
