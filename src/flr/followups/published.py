"""The follow-up set of the paper's authors, read from the Python file that they published.

The file (`utils.py` of github e0397123/FLR) holds lists `<category>_pos` and `<category>_neg` at
module level. It is parsed and never executed; all other code in it is ignored.
"""

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from flr.errors import FollowUpError
from flr.followups.checks import about_set, refuse, shown
from flr.followups.reading import read_bytes
from flr.types import FollowUp, FollowUpSet

_SIGNS = {"pos": 1, "neg": -1}


def _parsed(path: str) -> ast.Module:
    content = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in somebody else's file
            return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        reason = f"line {line}: not Python" if line else "not Python"
        raise FollowUpError(f"{path}: {reason}: {getattr(error, 'msg', error)}.") from error


def _texts(path: str, literal: ast.List) -> Iterator[str]:
    for item in literal.elts:
        if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
            raise FollowUpError(
                f"{path}: line {item.lineno}: expected a string literal, got "
                f"`{ast.unparse(item)[:60]}`; the file is only parsed, never run."
            )
        yield item.value


def _lists(path: str) -> dict[tuple[str, int], list[str]]:
    """The module-level lists by category and polarity; of two of one name the last one counts."""
    lists: dict[tuple[str, int], list[str]] = {}
    for statement in _parsed(path).body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List)):
            continue
        for target in statement.targets:  # several in `a_neg = b_neg = [...]`
            category, _, side = ast.unparse(target).rpartition("_")
            if category.isidentifier() and side in _SIGNS:
                lists[category, _SIGNS[side]] = list(_texts(path, statement.value))
    return lists


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
    lists = _lists(label)
    if not lists:
        raise FollowUpError(
            f"{label}: no lists named <category>_pos and <category>_neg at module level; "
            "expected the authors' utils.py."
        )
    positive_first = sorted(lists, key=lambda key: -key[1])
    weights = dict.fromkeys((category for category, _ in positive_first), 1.0)
    followups = tuple(
        FollowUp(text, category, sign)
        for category in weights
        for sign in _SIGNS.values()
        for text in lists.get((category, sign), ())
    )
    source = f"imported from {Path(path).name}"
    imported = FollowUpSet(name, "en", "NOASSERTION", source, followups, weights)
    refuse(label, about_set(imported))
    return imported
