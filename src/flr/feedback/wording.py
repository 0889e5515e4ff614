"""Whether a text is what a user says to the assistant: pure checks of what was rewritten.

They know English words alone.
"""

import re
from dataclasses import dataclass

from flr.errors import OptionError
from flr.verifiable.text import echoes, plain, words_of

NOTHING = "nothing could be turned"
RATING = "tells a rating"
ABOUT = "speaks about the assistant or the user, not to it"
NOBODY = "has no I, me, my, you or your"
SHORT = "too short (--min-words)"
LONG = "too long (--max-words)"
OF_RESPONSE = "copies the response"
OF_CRITIQUE = "copies the critique"

COPIED = 8
"""Fewest words of a copy; fewer may be the same by chance, or be quoted."""

_NUMBER = r"(?:\d+(?:\.\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|zero)"
_RATING = re.compile(
    rf"\b{_NUMBER}\s*(?:/|out of)\s*(?:5|10|100|five|ten)\b(?!/)"
    rf"|\b{_NUMBER}(?:\s|-)stars?\b|\bstars?\s+out\b|[★⭐]|\[result\]"
    r"|\b(?:scor(?:e[sd]?|ing)|ratings?|rated|rubrics?|full marks|grade[sd]?)\b"
)
_ABOUT = re.compile(
    r"\b(?:the|this|that|an?) (?:(?:given|provided|above|generated|overall|ai|language|assistant's|"
    r"ai's|model's) )*(?:response|reply|assistant|respondent|ai|chatbot|model|user)(?:'s)?\b"
)
_PERSON = re.compile(r"\b(?:i|me|my|mine|you|your|yours)\b")


@dataclass(frozen=True, kw_only=True)
class WordingOptions:
    """What a rewritten text may be."""

    min_words: int = 3
    """Fewest words of a rewritten text."""
    max_words: int = 80
    """Most words of a rewritten text; users write little."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_words <= self.max_words:
            raise OptionError(
                f"--min-words {self.min_words}, --max-words {self.max_words}; 1 or more, and the "
                "second no smaller than the first, was expected"
            )


def leaks_rating(text: str) -> bool:
    """Whether a text tells how many points were given.

    Example:
        >>> leaks_rating("I give you 4/5."), leaks_rating("Open 24/7, on 10/5/2020.")
        (True, False)
    """
    return _RATING.search(plain(text)) is not None


def speaks_about(text: str) -> bool:
    """Whether a text speaks of one of the two as of somebody else.

    Example:
        >>> speaks_about("The assistant's tone is off."), speaks_about("Your tone is off.")
        (True, False)
    """
    return _ABOUT.search(plain(text)) is not None


def addresses(text: str) -> bool:
    """Whether a text has a word of the first or second person.

    Example:
        >>> addresses("That's not what I asked."), addresses("Too long.")
        (True, False)
    """
    return _PERSON.search(plain(text)) is not None


def _is_copy(text: str, other: str) -> bool:
    words = words_of(text)
    return words == words_of(other) or (len(words) >= COPIED and echoes(text, other))


def fault_of(
    text: str, critique: str, response: str, options: WordingOptions, *, by_rules: bool = False
) -> str | None:
    """Why a rewritten text is no user's own; None where it is one.

    Args:
        text: what was made of the critique.
        critique: as it was.
        response: of which it speaks.
        options: how long the text may be.
        by_rules: whether it may keep the critique's words, as what rules have turned does.

    Example:
        >>> fault_of("The response is off.", "It is off.", "Oslo.", WordingOptions())
        'speaks about the assistant or the user, not to it'
    """
    words = len(words_of(text))
    faults = (
        (NOTHING, not text.strip()),
        (RATING, leaks_rating(text)),
        (ABOUT, speaks_about(text)),
        (NOBODY, not addresses(text)),
        (SHORT, words < options.min_words),
        (LONG, words > options.max_words),
        (OF_RESPONSE, _is_copy(text, response)),
        (OF_CRITIQUE, not by_rules and _is_copy(text, critique)),
    )
    return next((reason for reason, is_so in faults if is_so), None)
