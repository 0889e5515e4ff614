"""Sentences of a text, by its punctuation alone.

A sentence ends at `.`, `!`, `?` or `…` before white space, at their full-width kin anywhere, and at
an empty line. A period after a known abbreviation, an initial or the number of a list ends none.
"""

import re
from collections.abc import Iterator

_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|dr|mr|mrs|ms|prof|st|fig)|\b[A-Z]|^\s*\d+)\.\Z",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|[。！？]+[」』”’]*|(?=\n[^\S\n]*\n)")
_NEXT = re.compile(r"\s*(\S?)")

LONGEST_ABBREVIATION = 24
"""Characters in which a known abbreviation, or a list's number and what is before it, has room."""


def _ends_none(text: str, match: re.Match[str]) -> bool:
    """Whether what looks like an end is none: an abbreviation, or a small letter goes on."""
    if match[0] != ".":
        return False
    end = match.end()
    follows = _NEXT.match(text, end)
    is_short = _ABBREVIATION.search(text, max(0, end - LONGEST_ABBREVIATION), end)
    # "no." and "etc." may end a sentence; then a capital follows, which "e.g. Paris" has too.
    return is_short is not None or (follows is not None and follows[1].islower())


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text in order, without the white space between them.

    Example:
        >>> list(sentences("Thanks! That helped, e.g. the tip of Dr. Wu.  But why?\\n\\nOne more"))
        ['Thanks!', 'That helped, e.g. the tip of Dr. Wu.', 'But why?', 'One more']
    """
    begun = 0
    for match in _END.finditer(text):
        if not _ends_none(text, match):
            if sentence := text[begun : match.end()].strip():
                yield sentence
            begun = match.end()
    if rest := text[begun:].strip():
        yield rest
