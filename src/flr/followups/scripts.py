"""Does a follow-up set fit the conversations? Compares their scripts, letter by letter.

Languages of one script are not told apart.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from flr.types import FollowUpSet

TEXTS, CHARACTERS, FEWEST_LETTERS, SMALL_SHARE = 1000, 500, 10, 0.2
"""How much is looked at, what is too little to tell, what share of the letters counts as none."""

_KANA = ("HIRAGANA", "KATAKANA")


def _script(letter: str) -> str:
    """The word of a letter's Unicode name that names its script."""
    name = unicodedata.name(letter, "UNKNOWN")
    word = name.removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").split()[0]
    return {"CJK": "HAN"}.get(word, "KANA" if word.partition("-")[0] in _KANA else word)


def _script_counts(texts: Iterable[str]) -> Counter[str]:
    """Letters by script, of the beginnings of the first texts; Japanese is one script."""
    letters = Counter(char for text in islice(texts, TEXTS) for char in text[:CHARACTERS])
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():
            scripts[_script(letter)] += count
    if scripts["KANA"] > 0.1 * scripts["HAN"]:  # Chinese has no kana, Japanese is full of it
        scripts["JAPANESE"] = scripts.pop("KANA") + scripts.pop("HAN", 0)
    return scripts


def _majority(scripts: Counter[str]) -> str | None:
    most, count = max(scripts.items(), key=lambda item: item[1], default=("", 0))
    return most if count > scripts.total() / 2 and scripts.total() >= FEWEST_LETTERS else None


def script_mismatch(followup_set: FollowUpSet, texts: Iterable[str]) -> str | None:
    """A warning, where a set is written in another script than the conversations.

    The script of most letters in the set is compared with that of most letters in the texts.
    Code and names bring Latin letters into every language, so a set whose script has at least a
    fifth of the letters is taken to fit. Languages of one script are not told apart.

    Args:
        followup_set: the set.
        texts: texts of the conversations; the beginnings of the first 1000 are looked at.

    Returns:
        A sentence; None where the two fit, or there is too little text to tell.

    Example:
        >>> from flr import followups
        >>> script_mismatch(followups.load("short"), ["Wie spät ist es?", "Es ist zwölf."]) is None
        True
    """
    theirs = _script_counts(texts)
    own = _majority(_script_counts(followup.text for followup in followup_set.followups))
    most = _majority(theirs)
    if own is None or most is None or own == most or theirs[own] >= SMALL_SHARE * theirs.total():
        return None
    return (
        f"follow-up set {followup_set.name!r} ({followup_set.language}) is written in "
        f"{own.title()} script, but the conversations are mostly in {most.title()} script: "
        "their users would not say these words. Give a set in their language: --set FILE."
    )
