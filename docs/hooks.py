"""Puts sections of the README into pages, so that they are not written twice.

A page says `<!-- README: Score your data -->`, the title of a section; its subsections come along,
without its title. What is below the README's own title is `<!-- README: flr -->`. Links to files
become links to pages where there are such, and plain words where there are none.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ASKED = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")
PLACES = {
    "score-your-data": "score.md",
    "how-good-is-it": "results.md#how-good-is-it",
    "does-a-policy-get-better-by-its-pairs": "results.md#does-a-policy-get-better-by-its-pairs",
}
"""Pages of the README's sections that other sections link to."""


def sections() -> dict[str, str]:
    """The text of every section of the README below its title, by title."""
    text = (ROOT / "README.md").read_text("utf-8")
    top, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {"flr": top.partition("\n")[2], **dict(zip(parts[::2], parts[1::2], strict=True))}


def _linked(found: re.Match[str]) -> str:
    words, target = found.groups()
    page = target.removeprefix("docs/")
    is_page = page != target and page.partition("#")[0].endswith(".md")
    return f"[{words}]({page})" if is_page else words


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills in what a page asks for.

    Raises:
        KeyError: the README has no such section.
    """
    known = sections()

    def section(found: re.Match[str]) -> str:
        text = LINK.sub(_linked, known[found[1]])
        for anchor, page in PLACES.items():
            text = text.replace(f"](#{anchor})", f"]({page})")
        return text.strip()

    return ASKED.sub(section, markdown)
