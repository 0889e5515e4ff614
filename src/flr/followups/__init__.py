"""Follow-up sets: finding, reading, checking, hashing and writing them.

A set is a YAML file: `name`, `language`, `licence`, `source` and `categories`, each category with
a `positive` and a `negative` list of texts and perhaps a `weight`; a text may have a weight of its
own, `{text: ..., weight: 0.5}`. `load` refuses what makes a set unusable; what only makes it a
worse set, `check` and `problems` tell. Reading is `reading`'s, what can be wrong `checks`'. Nothing
here tokenises or scores.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from flr.errors import FollowUpError, did_you_mean
from flr.followups.checks import POLARITIES, about_set, refuse
from flr.followups.published import import_published as import_published
from flr.followups.reading import HEADER, read
from flr.followups.reading import available as available
from flr.followups.scripts import script_mismatch as script_mismatch
from flr.types import FollowUp, FollowUpSet


def load(name_or_path: str | Path) -> FollowUpSet:
    """Read a follow-up set, or some categories of one.

    A known name wins over a file of the same name; `./default` means the file.

    Args:
        name_or_path: a name of `available`, or the path of a YAML file; of either the categories
            to take may follow: `default:relevance+correctness`.

    Returns:
        The set; categories and texts without a weight have 1.0.

    Raises:
        FollowUpError: there is no such set, file or category, or it cannot be used; every reason is
            listed.

    Example:
        >>> short = load("short")
        >>> len(short.followups), short.categories[0]
        (24, 'understanding')
        >>> load("short:following+relevance").categories
        ('relevance', 'following')
    """
    whole, wanted = parted(name_or_path)
    return _load(name_or_path) if wanted is None else part(_load(whole), wanted)


def parted(name_or_path: str | Path) -> tuple[str, list[str] | None]:
    """The name or path of a whole set, and the categories that are named after it, if any are.

    Example:
        >>> parted("default:relevance+correctness"), parted("default")
        (('default', ['relevance', 'correctness']), ('default', None))
    """
    whole, _, wanted = str(name_or_path).rpartition(":")
    if whole and not Path(name_or_path).exists():
        return whole, wanted.split("+")
    return str(name_or_path), None


def _load(name_or_path: str | Path) -> FollowUpSet:
    reading = read(name_or_path)
    refuse(str(name_or_path), reading.findings)
    followups = tuple(reading.texts.values())
    return FollowUpSet(**reading.header, followups=followups, weights=reading.weights)


def part(followup_set: FollowUpSet, categories: Sequence[str]) -> FollowUpSet:
    """Some categories of a set, in the set's order.

    Args:
        followup_set: the set.
        categories: at least one of its categories.

    Returns:
        A set named by what it holds: `default:relevance+correctness`.

    Raises:
        FollowUpError: a category that the set has not, or none.
    """
    known = followup_set.categories
    for name in categories:
        if name not in known:
            raise FollowUpError(
                f"follow-up set {followup_set.name!r} has no category {name!r}; it has "
                f"{', '.join(known)}.{did_you_mean(name, known)}"
            )
    kept = [name for name in known if name in categories]
    return replace(
        followup_set,
        name=f"{followup_set.name}:{'+'.join(kept)}",
        followups=tuple(one for one in followup_set.followups if one.category in kept),
        weights={name: followup_set.weights[name] for name in kept},
    )


def check(name_or_path: str | Path) -> tuple[str, ...]:
    """All that is wrong with a set's file, whether it stops `load` or not.

    Args:
        name_or_path: a name of `available`, or the path of a YAML file.

    Returns:
        One sentence a problem, in the order of lines, naming line, category, polarity and number.

    Raises:
        FollowUpError: there is no such set or file, or it is not a text file.

    Example:
        >>> check("default")
        ()
    """
    return tuple(str(finding) for finding in read(name_or_path).findings)


def problems(followup_set: FollowUpSet) -> tuple[str, ...]:
    """What is wrong with the content of a set, however it was made.

    Looked for: an empty list, an empty text, space at an end, a control character, a duplicate
    (also across categories), a text in both polarities, both styles of apostrophe (' and ’),
    weights that are not finite, negative or all 0, a text whose own weight is not above 0.

    Args:
        followup_set: the set.

    Returns:
        One sentence a problem, naming category, polarity and number; empty where all is well.

    Example:
        >>> problems(FollowUpSet("mine", "en", "", "", (), {"fit": 1.0}))[0]
        'fit, positive: empty: expected at least one positive text'
    """
    return tuple(str(finding) for finding in about_set(followup_set))


def digest(followup_set: FollowUpSet) -> str:
    """SHA-256 of all in a set that changes a number made with it: texts, order, weights.

    The name, language, licence and source do not enter.

    Args:
        followup_set: the set.

    Returns:
        64 hexadecimal digits.
    """
    weights = followup_set.weights
    content = {
        "followups": [
            # a weight of 1 is not told: sets without weights keep the digest that they had
            [f.category, f.polarity, f.text, *([f.weight] if f.weight != 1.0 else [])]
            for f in followup_set.followups
        ],
        "weights": [[name, float(weights.get(name, 1.0))] for name in followup_set.categories],
    }
    canonical = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _entry(followup: FollowUp) -> str | dict[str, str | float]:
    """What stands for a follow-up in its list."""
    if followup.weight == 1.0:
        return followup.text
    return {"text": followup.text, "weight": float(followup.weight)}


def to_yaml(followup_set: FollowUpSet) -> str:
    """The set as the text of a YAML file, from which `load` makes the same set.

    Args:
        followup_set: the set, with its follow-ups category by category, positive before negative.

    Returns:
        YAML; a weight is written where it is not 1.0.
    """
    categories: dict[str, dict[str, Any]] = {}
    for name in followup_set.categories:
        weight = followup_set.weights.get(name, 1.0)
        own = [followup for followup in followup_set.followups if followup.category == name]
        categories[name] = {} if weight == 1.0 else {"weight": float(weight)}
        for word, polarity in POLARITIES.items():
            categories[name][word] = [_entry(f) for f in own if f.polarity == polarity]
    content = {key: getattr(followup_set, key) for key in HEADER} | {"categories": categories}
    # Written as it is, an unprintable character may be lost: PyYAML reads U+0085 as a line break.
    as_it_is = all(followup.text.isprintable() for followup in followup_set.followups)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=as_it_is, width=sys.maxsize)
