"""What a page or a Markdown text holds, and how well a page's colours can be told apart."""

import re
from html.parser import HTMLParser

VOID = {"meta"}


class Page(HTMLParser):
    """The tags of a page in order, its attributes, its text, and a check that tags close."""

    def __init__(self, rendered: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(rendered)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th", "p", "dt", "dd", "h4", "div") else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def blocks(text: str) -> list[list[str]]:
    """The lines of each table."""
    return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def cells(line: str) -> list[str]:
    """The cells of a line, split where a bar is not escaped."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]]


def words(rendered: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(Page(rendered).text.split())


def svgs(rendered: str) -> list[str]:
    """The figures."""
    return re.findall(r"<svg.*?</svg>", rendered, re.DOTALL)


def outline(rendered: str) -> list[str]:
    """The tags outside the figures and folded texts, which follow the data's sizes."""
    plain = re.sub(r"<svg.*?</svg>", "", rendered, flags=re.DOTALL)
    return [tag for tag in Page(plain).tags if tag not in ("details", "summary", "span", "div")]
