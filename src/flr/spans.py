"""Where a text's own characters and tokens lie in a rendered conversation.

Pure functions of texts and offsets; what renders and tokenises is `chat`'s.

A text's characters are found by difference: the same conversation is rendered with two
placeholders that differ in their first and last character, and what both renderings share before
and after them is the frame. A text's tokens are those that overlap its characters; one that covers
characters of the context as well overlaps both, and belongs to the text.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from flr.errors import RenderError

PLACEHOLDERS = ("x0", "y1")


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A tokenised text and the span of it that is scored.

    Args:
        tokens: all ids of the text, those after the span included.
        start: index of the first scored token.
        stop: index after the last scored token; equal to `start` where there is nothing to score.
    """

    tokens: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a rendering has before and after the text that is looked for."""

    prefix: str
    suffix: str

    def around(self, text: str) -> str:
        """The rendering of a text that the template leaves as it is."""
        return self.prefix + text + self.suffix


def shared_start(first: str, second: str) -> str:
    """The longest beginning of both texts."""
    lengths = range(1, min(len(first), len(second)) + 1)
    differs = bisect_left(lengths, True, key=lambda length: first[:length] != second[:length])
    return first[:differs]


def frame_of(first: str, second: str) -> Frame | None:
    """What two renderings have around their placeholders.

    Args:
        first: the conversation rendered with `PLACEHOLDERS[0]`.
        second: the same with `PLACEHOLDERS[1]`.

    Returns:
        The frame; None where the template writes the text twice, or not as it is.

    Example:
        >>> frame_of("User: x0\\n", "User: y1\\n")
        Frame(prefix='User: ', suffix='\\n')
    """
    prefix = shared_start(first, second)
    ends = [text[len(prefix) :][::-1] for text in (first, second)]
    frame = Frame(prefix, shared_start(*ends)[::-1])
    return frame if first == frame.around(PLACEHOLDERS[0]) else None


def characters(rendered: str, text: str, frame: Frame | None) -> tuple[int, int]:
    """Where a text's characters lie in a rendering.

    Where the template alters the text (trims it, as a rule), the text without white space at its
    ends is searched from the right, inside the frame as far as the rendering has it.

    Returns:
        Index of the first character, and index after the last.

    Raises:
        RenderError: the rendering does not hold the text.

    Example:
        >>> characters("User: Why?\\n", " Why? ", Frame("User: ", "\\n"))
        (6, 10)
    """
    if frame and rendered == frame.around(text):
        return len(frame.prefix), len(frame.prefix) + len(text)
    prefix, suffix = (frame.prefix, frame.suffix) if frame else ("", "")
    low = len(prefix) if rendered.startswith(prefix) else 0
    high = len(rendered) - (len(suffix) if rendered.endswith(suffix) else 0)
    begin = rendered.rfind(text.strip(), low, high)
    if begin < 0:
        raise RenderError(
            f"the chat template rewrites the text {text[:60]!r}, so its tokens cannot be told from "
            "the template's own; a text in the form that the template writes is expected "
            "(for thoughts: --strip-thinking)"
        )
    return begin, begin + len(text.strip())


def token_span(offsets: Sequence[tuple[int, int]], begin: int, end: int) -> tuple[int, int]:
    """Which tokens overlap the characters from `begin` to before `end`.

    A token of width zero is a space that the tokenizer has trimmed from its offsets (Llama-3's
    does): it covers what lies between it and the token before.

    Args:
        offsets: of each token its first character and the one after its last.
        begin: index of the first character.
        end: index after the last character.

    Returns:
        Index of the first token and index after the last; equal where no token overlaps.

    Example:
        >>> token_span([(0, 4), (4, 9), (9, 10)], begin=6, end=9)
        (1, 2)
    """
    before, inside, reached = 0, [], 0
    for index, (left, right) in enumerate(offsets):
        first = min(left, reached) if left == right else left
        reached = max(reached, right)
        before += right <= begin
        if first < end and begin < right and begin < end:
            inside.append(index)
    return (inside[0], inside[-1] + 1) if inside else (before, before)
