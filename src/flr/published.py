"""The follow-up set of the paper's authors, read from the Python file that they published.

The file (`utils.py` of github e0397123/FLR) holds lists `<category>_pos` and `<category>_neg` at
module level. It is parsed and never executed; all other code in it is ignored.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from flr.errors import FollowUpError
from flr.followup_checks import about_set, refuse, shown
from flr.followup_yaml import read_bytes
from flr.types import FollowUp, FollowUpSet

_SIGNS = {"pos": 1, "neg": -1}


def _parsed(path: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in somebody else's file
            return ast.parse(read_bytes(path))
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        raise FollowUpError(f"{path}: {place}not Python: {error.msg}.") from error
    except (RecursionError, MemoryError) as error:
        raise FollowUpError(f"{path}: not Python that can be parsed: {error}.") from error


def _assigned(module: ast.Module) -> Iterator[tuple[str, int, ast.List]]:
    """Category, polarity and list of each module-level `<category>_pos|neg = [...]`."""
    for statement in module.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        single = isinstance(statement, ast.AnnAssign)
        for target in [statement.target] if single else statement.targets:
            match = isinstance(target, ast.Name) and re.fullmatch(r"(.+)_(pos|neg)", target.id)
            if match and isinstance(statement.value, ast.List):
                yield match[1], _SIGNS[match[2]], statement.value


def _literals(path: str, literal: ast.List) -> Iterator[str]:
    for item in literal.elts:
        if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
            raise FollowUpError(
                f"{path}: line {item.lineno}: expected a string literal in this list, "
                f"got `{ast.unparse(item)[:60]}`. The file is only parsed, never run: "
                "write the text out."
            )
        yield item.value


def import_published(path: str | Path, name: str = "published") -> FollowUpSet:
    """Read a follow-up set from the Python file that the paper's authors published.

    Order, duplicates and apostrophes stay as they are, so that its numbers can be remade.

    Args:
        path: the Python file.
        name: the name that the set gets.

    Returns:
        The set, its categories in the order of their `_pos` lists; language `en`, licence
        `NOASSERTION` (SPDX for not stated: the file's own licence holds).

    Raises:
        FollowUpError: not Python, no such lists, a list with anything but string literals, or
            a category without one of its lists.
    """
    label = str(path)
    if not name.strip() or not name.isprintable():
        raise FollowUpError(f"a set cannot be named {shown(name)}; give a printable name.")
    lists = {(category, sign): node for category, sign, node in _assigned(_parsed(label))}
    if not lists:
        raise FollowUpError(
            f"{label}: no lists named <category>_pos and <category>_neg at module level; "
            "expected the authors' utils.py."
        )
    positive_first = sorted(lists, key=lambda key: -key[1])
    categories = dict.fromkeys((category for category, _ in positive_first), 1.0)
    followups = tuple(
        FollowUp(text, category, sign)
        for category in categories
        for sign in _SIGNS.values()
        if (category, sign) in lists
        for text in _literals(label, lists[category, sign])
    )
    source = f"imported from {Path(path).name}"
    imported = FollowUpSet(name, "en", "NOASSERTION", source, followups, categories)
    refuse(label, about_set(imported))
    return imported
