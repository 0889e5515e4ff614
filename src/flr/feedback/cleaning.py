"""Which feedback is fit to be learned from, and what is cut off it: pure rules on texts.

Each item that is left out has one reason, the first of `REASONS` that applies; reasons are counted,
never silent. What `flr feedback` has found fit before is not held against limits again, as
`from-logs` has others. What is cut: a judge's label at the end of his text (`###Score: 4`,
`[RESULT] 4`, `Feedback:`), which is no part of what he said.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import final

from flr.errors import OptionError
from flr.feedback.rows import Feedback, FoundFit
from flr.options import check_positive

EMPTY, BROKEN, SHORT, LONG = "empty", "broken", "too short", "too long"
QUOTED, TWICE, STOCK = "quotes the whole response", "duplicate", "stock phrase"

REASONS = (EMPTY, BROKEN, SHORT, LONG, QUOTED, TWICE, STOCK)
"""Why feedback is left out, in the order in which it is looked at."""

_NOTHING = frozenset(("", "none", "nan", "null", "n/a", "na", "nil"))

_LABEL = re.compile(
    r"(?<![\s#*\[(-])[\s#*\[(-]*(?:(?:result\][\s:]*)?(?:(?:overall|final)\s+)?(?:score|rating|result)[\s\]*):=]*"
    r"\d+(?:\.\d+)?(?:\s*/\s*\d+)?[\s*.)\]]*|feedback[\s*]*:[\s*]*)\Z",
    re.IGNORECASE,
)
"""A label with its number, or one with nothing after it, at the end of a text."""

_HANGING = re.compile(r"(?:[,(\[{]|\b(?:and|but|or|because|the|an))\Z")
"""How no sentence ends; in capitals it may be a name."""

QUOTABLE = 80
"""Characters; a shorter response may well stand in what is said of it."""

STOCK_RESPONSES = 3
"""Different responses of which one and the same text may be said."""


@dataclass(frozen=True, kw_only=True)
class CleaningOptions:
    """Which feedback is fit to be learned from."""

    min_words: int = 3
    """Fewest words: what is shorter (`Good.`) is rarely about the response. Of rows that flr
    feedback has made none is left out for it, nor for --max-words."""
    max_words: int = 250
    """Most words: what is longer is an essay, and costs as much as several others."""

    def __post_init__(self) -> None:
        check_positive("min_words", self.min_words)
        if self.max_words < self.min_words:
            raise OptionError(
                f"--max-words {self.max_words}; --min-words {self.min_words} or more was expected"
            )


@final
@dataclass(frozen=True, slots=True)
class Cleaned:
    """What is left.

    Args:
        kept: in order.
        left_out: how many for each reason that there was.
        relieved: how many texts lost a label.
    """

    kept: tuple[Feedback, ...]
    left_out: dict[str, int]
    relieved: int


def without_label(text: str) -> str:
    """A text without white space at its ends, and without a judge's labels at its end.

    Example:
        >>> without_label("It is short.\\n###Score: 4/5"), without_label("I score 3.")
        ('It is short.', 'I score 3.')
    """
    bare = text.strip()
    while (match := _LABEL.search(bare)) and match.start() > 0 and _ends(bare, match.start()):
        bare = bare[: match.start()].rstrip()
    return bare


def _ends(text: str, at: int) -> bool:
    """Whether a sentence, or a line, has ended before a place: a label within one is a word."""
    rest = text[at:]
    return text[:at].rstrip()[-1:] in ".!?:\"'”)" or "\n" in rest[: len(rest) - len(rest.lstrip())]


def _alike(text: str) -> str:
    """Equal for texts that differ in case and white space alone."""
    return " ".join(text.casefold().split())


def _is_broken(text: str) -> bool:
    """Whether a text has no letter, characters that no one has typed, or no end."""
    if _HANGING.search(text):
        return True
    odd = any(unicodedata.category(one) == "Cc" and one not in "\n\t\r" for one in text)
    return odd or "\ufffd" in text or not any(map(str.isalpha, text))


def _own_reason(one: Feedback, options: CleaningOptions) -> str | None:
    """Why a feedback is left out, whatever others are like."""
    if one.text.casefold().strip(" .") in _NOTHING:
        return EMPTY
    if _is_broken(one.text):
        return BROKEN
    # Where words are not parted by spaces, two characters count as one.
    words = max(len(one.text.split()), _ideographs(one.text) // 2)
    if words < options.min_words and not isinstance(one, FoundFit):
        return SHORT
    if words > options.max_words and not isinstance(one, FoundFit):
        return LONG
    response = _alike(one.conversation.response)
    return QUOTED if len(response) >= QUOTABLE and response in _alike(one.text) else None


def _ideographs(text: str) -> int:
    """Characters of scripts that are written without spaces (Chinese, Japanese, Thai, ...)."""
    return sum("\u0e00" <= one <= "\u0eff" or "\u3040" <= one <= "\u9fff" for one in text)


def clean(
    found: Iterable[Feedback | str],
    options: CleaningOptions,
    stock_responses: int | None = STOCK_RESPONSES,
) -> Cleaned:
    """The feedback that is fit to be learned from.

    Args:
        found: feedback, or a reason why there was none.
        options: what is fit.
        stock_responses: different responses of which one and the same text may be said; None
            for any number.

    Example:
        >>> from flr.types import Conversation
        >>> talk = Conversation.of("Two?", "Three")
        >>> said = [Feedback(talk, text) for text in ("That is wrong.", "that is  wrong.", "nan")]
        >>> done = clean(said, CleaningOptions())
        >>> [one.text for one in done.kept], done.left_out
        (['That is wrong.'], {'duplicate': 1, 'empty': 1})
    """
    kept: list[Feedback] = []
    reasons = Counter[str]()
    seen, said_of = set[tuple[str, ...]](), dict[str, set[str]]()
    relieved = 0
    for one in found:
        if isinstance(one, str):
            reasons[one] += 1
            continue
        bare = replace(one, text=without_label(one.text))
        reason = _own_reason(bare, options) or _reason_of_others(
            bare, seen, said_of, stock_responses
        )
        if reason:
            reasons[reason] += 1
            continue
        relieved += bare.text != one.text.strip()
        kept.append(bare)
    return Cleaned(tuple(kept), dict(reasons), relieved)


def _reason_of_others(
    one: Feedback, seen: set[tuple[str, ...]], said_of: dict[str, set[str]], most: int | None
) -> str | None:
    """Why a feedback is left out for what came before it, which is noted."""
    told = [
        part for message in one.conversation.messages for part in (message.role, message.content)
    ]
    key = (*map(_alike, told), _alike(one.text))
    if key in seen:
        return TWICE
    seen.add(key)
    responses = said_of.setdefault(_alike(one.text), set())
    response = _alike(one.conversation.response)
    is_new = response not in responses and not isinstance(one, FoundFit)
    if is_new and most is not None and len(responses) >= most:
        return STOCK
    responses.add(response)
    return None
