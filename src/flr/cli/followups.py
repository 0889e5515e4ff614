"""`flr followups`: list, show, check and import follow-up sets.

A thin door to `flr.followups`. Texts are printed as they are, brackets and all; only control
characters are written as escapes, so that no text can steer the terminal.
"""

import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr import followups
from flr.errors import CheckFailed, OutputError
from flr.types import FollowUpSet

app = App(name="followups", help="List, show, check and import follow-up sets.")


def _visible(text: str) -> str:
    """The text with control characters and stray surrogates as escapes (`\\x1b`)."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def _say(text: str, style: str = "") -> None:
    """Print one line, never wrapped, never read as markup."""
    Console(highlight=False).print(Text(_visible(text), style), soft_wrap=True)


def _counts(followup_set: FollowUpSet) -> str:
    signs = Counter(followup.polarity for followup in followup_set.followups)
    return f"{signs[1]} + {signs[-1]}"


@app.command(name="list")
def list_() -> None:
    """List the follow-up sets that come with flr."""
    table = Table("set", "language", "categories", "positive + negative", "source")
    for name in followups.available():
        known = followups.load(name)
        cells = name, known.language, ", ".join(known.categories), _counts(known), known.source
        table.add_row(*(Text(_visible(cell)) for cell in cells))
    Console().print(table)


@app.command
def show(name: str) -> None:
    """Print the texts of a set, category by category.

    Args:
        name: name of a set (see `flr followups list`) or a YAML file.
    """
    shown = followups.load(name)
    header = shown.name, shown.language, shown.licence, shown.source
    _say(" · ".join(part for part in header if part))
    for category in shown.categories:
        weight = shown.weights[category]
        _say("")
        _say(category + (f" (weight {weight:g})" if weight != 1.0 else ""), "bold")
        for followup in shown.followups:
            if followup.category == category:
                own = f" (weight {followup.weight:g})" if followup.weight != 1.0 else ""
                _say(f"  {'+' if followup.polarity > 0 else '-'} {followup.text}{own}")


@app.command
def check(file: str) -> None:
    """Say what is wrong with a set; exit code 1 if anything is.

    Args:
        file: a YAML file, or the name of a set.
    """
    found = followups.check(file)
    for problem in found:
        _say(f"{file}: {problem}")
    if found:
        raise CheckFailed(f"{file}: {len(found)} {'problem' if len(found) == 1 else 'problems'}.")
    checked = followups.load(file)
    _say(f"{file}: no problems, {len(checked.followups)} texts ({_counts(checked)}).")


def _write(output: Path, text: str, *, force: bool) -> None:
    try:
        if not force and output.exists() and output.read_bytes() != text.encode():
            raise OutputError(f"{output} exists and holds something else; --force replaces it.")
        output.write_bytes(text.encode())
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}.") from error


@app.command(name="import")
def import_(
    path: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    name: str = "published",
    force: bool = False,
) -> None:
    """Make a follow-up set of the Python file that the paper's authors published.

    The file is parsed and never executed. Its texts stay theirs: mind their licence.

    Args:
        path: the Python file (utils.py of github e0397123/FLR).
        output: YAML file to write; without it the YAML is printed.
        name: name of the new set.
        force: replace a file that holds something else.
    """
    imported = followups.import_published(path, name)
    text = followups.to_yaml(imported)
    if output is None:
        sys.stdout.write(text)
        return
    _write(output, text, force=force)
    found = followups.problems(imported)
    _say(
        f"{output}: {len(imported.followups)} texts ({_counts(imported)})"
        + (f"; to see {len(found)} oddities: flr followups check {output}" if found else "")
    )
