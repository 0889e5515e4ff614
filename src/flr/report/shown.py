"""How texts and numbers of a report are shown, in a terminal and on a page alike."""

_VISIBLE = str.maketrans(
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: "\u2421"}
    | dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)
"""What a terminal or a page would obey, not show: control characters become their pictures;
C1 controls, direction overrides, and lone surrogates (no encoding has them) become U+FFFD."""


def printable(text: str) -> str:
    """The text with what would be obeyed made visible; lines end in a line feed alone."""
    return text.replace("\r\n", "\n").translate(_VISIBLE)


def signed(number: float, digits: int = 3) -> str:
    """A number with its sign, never `-0`."""
    return f"{number:+z.{digits}f}"
