"""Sentences of a text, by its punctuation alone.

A sentence ends at `.`, `!`, `?` or `…` before white space, at their full-width kin anywhere, and at
an empty line. A period after a known abbreviation, an initial or the number of a list ends none.
"""

import re

_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|dr|mr|mrs|ms|prof|st|fig)|\b[A-Z]|^\s*\d+)\.\Z",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’]*|(?=\n\s*\n)")


def _ends_none(text: str, match: re.Match[str]) -> bool:
    """Whether what looks like an end is none: an abbreviation, or a small letter goes on."""
    if match[0] != ".":
        return False
    follows = text[match.end() :].lstrip()[:1]
    is_short = _ABBREVIATION.search(text[: match.end()]) is not None
    # "no." and "etc." may end a sentence; then a capital follows, which "e.g. Paris" has too.
    return is_short or follows.islower()


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, without the white space between them.

    Example:
        >>> sentences("Thanks! That helped, e.g. the tip of Dr. Wu.  But why?\\n\\nOne more")
        ['Thanks!', 'That helped, e.g. the tip of Dr. Wu.', 'But why?', 'One more']
    """
    found: list[str] = []
    begun = 0
    for match in _END.finditer(text):
        if not _ends_none(text, match):
            found.append(text[begun : match.end()].strip())
            begun = match.end()
    found.append(text[begun:].strip())
    return [one for one in found if one]
