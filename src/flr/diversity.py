"""How little texts repeat themselves: distinct-n, inside one text and across many.

    distinct-n = number of different n-grams / number of n-grams

The source divides by the number of tokens; here it is the number of n-grams, so that a text which
repeats nothing has 1, however short it is. It falls with the length of what it is taken of: compare
equal numbers of texts, and look at their lengths too.

Source: Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models,
arXiv:1510.03055 (NAACL 2016), section 5.2.
"""

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The words of a text without their case, and its other marks one by one.

    A script without spaces has long words here, and so high figures.

    Example:
        >>> words("Don't, DON'T 🎉!")
        ['don', "'", 't', ',', 'don', "'", 't', '🎉', '!']
    """
    return _WORD.findall(text.casefold())


def _grams(text: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(text[at:] for at in range(n)), strict=False)


def distinct_across(texts: Iterable[Sequence[str]], n: int) -> float:
    """Distinct-n of many texts together; no n-gram reaches over the end of one.

    Args:
        texts: the words of each.
        n: words of an n-gram, at least 1.

    Returns:
        From 0 to 1; NaN where no text has n words.

    Example:
        >>> distinct_across([["a", "b", "a"], ["a", "b"]], 2)  # ab, ba, ab
        0.666...
    """
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def distinct(text: Sequence[str], n: int) -> float:
    """Distinct-n of one text.

    Args:
        text: its words.
        n: words of an n-gram, at least 1.

    Returns:
        From 0 to 1; NaN where it has fewer than n words.

    Example:
        >>> distinct(words("so much, so much"), 1)
        0.6
    """
    return distinct_across([text], n)
