"""Follow-up sets: finding, reading, checking, writing and importing them.

A set is a YAML file: `name`, `language`, `licence`, `source` and `categories`, each category with
a `positive` and a `negative` list of texts and perhaps a `weight`. YAML is composed into nodes by
PyYAML's safe loader and read from there, so nothing is ever constructed, a text that YAML takes
for something else (`no`, `12`, `Wait: what?`) is named with its line, and a repeated key is seen.

What makes a set unusable (wrong structure, an empty list, an empty text) is refused by `load`.
What only makes it a worse set (a duplicate, stray space, two styles of apostrophe) is reported by
`problems` and `check`, and scored all the same: numbers of published sets can be remade.

Nothing here tokenises or scores.
"""

import ast
import hashlib
import json
import math
import re
import sys
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import yaml

from flr.errors import MAX_LISTED, FollowUpError, did_you_mean
from flr.types import FollowUp, FollowUpSet

DATA = Path(__file__).parent / "data" / "followups"
"""Where the shipped sets lie, one YAML file each."""

POLARITIES = {"positive": 1, "negative": -1}
"""The two lists of a category, in the order of a set, with the polarity of their follow-ups."""

MAX_BYTES = 1_000_000
"""A larger file is no follow-up set (one of 120 texts has about 7 kB)."""

SAMPLED_TEXTS, SAMPLED_CHARACTERS, FEWEST_LETTERS, SMALL_SHARE = 1000, 500, 10, 0.2
"""For `script_mismatch`: how much is looked at, what is too little, what share counts as none."""

_HEADER = ("name", "language", "licence", "source")
_REQUIRED = ("name", "language")
_UNREADABLE = (yaml.YAMLError, ValueError, OverflowError, RecursionError)  # "\UFFFFFFFF", "[[[[..."


def _short(text: str) -> str:
    """A text in quotes, its control characters escaped, its end left out where it is long."""
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."


@dataclass(frozen=True, slots=True)
class _Finding:
    """One thing wrong; `fatal` where the set cannot be used, `line` 0 where there is no file."""

    place: str
    message: str
    fatal: bool = False
    line: int = 0

    def __str__(self) -> str:
        parts = (f"line {self.line}" if self.line else "", self.place, self.message)
        return ": ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One text and where it stands; `number` counts from 1 in its list."""

    category: str
    polarity: str
    number: int
    text: str
    line: int = 0

    @property
    def place(self) -> str:
        return f"{self.category}, {self.polarity} {self.number}"

    def found(self, message: str, *, fatal: bool = False) -> _Finding:
        return _Finding(self.place, message, fatal, self.line)


# --- what can be wrong with the content, whether it came from a file or not ---


def _about_weight(category: str, weight: float) -> Iterator[_Finding]:
    if not math.isfinite(weight) or weight < 0:
        message = f"expected a finite number >= 0, got {weight!r}"
        yield _Finding(f"{category}, weight", message, fatal=True)


def _about_weights(weights: Mapping[str, float]) -> Iterator[_Finding]:
    for category, weight in weights.items():
        yield from _about_weight(category, weight)
    if weights and not any(weights.values()):
        yield _Finding("weights", "all are 0; at least one must be above", fatal=True)


def _about_text(entry: _Entry) -> Iterator[_Finding]:
    kinds = {unicodedata.category(character) for character in entry.text}
    if not entry.text.strip():
        yield entry.found("empty text", fatal=True)
    elif entry.text != entry.text.strip():
        yield entry.found(f"space at the beginning or end of {_short(entry.text)}")
    if "Cs" in kinds:
        yield entry.found(f"half of a surrogate pair in {_short(entry.text)}", fatal=True)
    if "Cc" in kinds:
        yield entry.found(f"line break or control character in {_short(entry.text)}")


def _about_repeats(entries: Iterable[_Entry]) -> Iterator[_Finding]:
    """A text that stands in the set more than once, told once for each place after the first."""
    first: dict[str, _Entry] = {}
    for entry in entries:
        earlier = first.setdefault(entry.text, entry)
        if earlier is entry or not entry.text.strip():
            continue
        if earlier.polarity == entry.polarity:
            what = "duplicate"
        else:
            what = "text in both polarities, so it cancels itself"
        yield entry.found(f"{what}: {_short(entry.text)} is also {earlier.place}")


def _about_apostrophes(entries: Sequence[_Entry]) -> Iterator[_Finding]:
    straight = [entry for entry in entries if re.search(r"\w'\w", entry.text)]
    curly = [entry for entry in entries if re.search(r"\w’\w", entry.text)]
    if straight and curly:
        rarer = min(curly, straight, key=len)[0]
        yield rarer.found(
            f"mixed apostrophes: {len(straight)} texts of the set with ' and {len(curly)} with ’ "
            f"(they are different tokens), here {_short(rarer.text)}"
        )


def _about_texts(entries: Sequence[_Entry]) -> Iterator[_Finding]:
    for entry in entries:
        yield from _about_text(entry)
    yield from _about_repeats(entries)
    yield from _about_apostrophes(entries)


def _about_empty(
    categories: Iterable[str], filled: set[tuple[str, str]], lines: Mapping[str, int]
) -> Iterator[_Finding]:
    for category in categories:
        for polarity in POLARITIES:
            if (category, polarity) not in filled:
                message = f"empty: expected at least one {polarity} text"
                yield _Finding(f"{category}, {polarity}", message, True, lines.get(category, 0))


# --- reading a file ---


@dataclass(slots=True)
class _Reading:
    """What was read from the nodes of one document, and all that was wrong with it."""

    header: dict[str, str] = field(default_factory=lambda: dict.fromkeys(_HEADER, ""))
    weights: dict[str, float] = field(default_factory=dict[str, float])
    entries: list[_Entry] = field(default_factory=list[_Entry])
    filled: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    lines: dict[str, int] = field(default_factory=dict[str, int])
    findings: list[_Finding] = field(default_factory=list[_Finding])

    def wrong(self, node: yaml.Node, place: str, message: str) -> None:
        """Note something that makes the set unusable."""
        self.findings.append(_Finding(place, message, True, _line(node)))

    def text(self, node: yaml.Node, place: str) -> str | None:
        """The text of a scalar; None, and a finding, where YAML sees anything else."""
        if not isinstance(node, yaml.ScalarNode):
            hint = (
                "; a text with a colon needs quotes" if isinstance(node, yaml.MappingNode) else ""
            )
            self.wrong(node, place, f"expected a text, got {_named(node)}{hint}")
            return None
        kind, shown = node.tag.rpartition(":")[2], _short(node.value)
        if kind != "str":
            self.wrong(node, place, f"expected a text, but YAML reads {shown} as {kind}; quote it")
            return None
        return node.value

    def mapping(
        self, node: yaml.Node, place: str, known: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """The values of a mapping by their keys, in order; `known` empty where any key may be."""
        if not isinstance(node, yaml.MappingNode):
            expected = f" with the keys {', '.join(known)}" if known else ""
            self.wrong(node, place, f"expected a mapping{expected}, got {_named(node)}")
            return {}
        values: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node, f"{place}, key" if place else "key")
            if key in values:
                self.wrong(key_node, place, f"the key {_short(key)} is there twice")
            elif key is not None and known and key not in known:
                allowed = f"{did_you_mean(key, known)} Expected: {', '.join(known)}."
                self.wrong(key_node, place, f"unknown key {_short(key)}.{allowed}")
            elif key is not None:
                values[key] = value
        return values

    def weight(self, node: yaml.Node, category: str) -> float:
        """The weight of a category; 1.0, and a finding, where it cannot be one."""
        try:
            weight = float(node.value)
        except (TypeError, ValueError):
            message = f"expected a finite number >= 0, got {_named(node)}"
            self.wrong(node, f"{category}, weight", message)
            return 1.0
        for finding in _about_weight(category, weight):
            self.wrong(node, finding.place, finding.message)
            return 1.0
        return weight

    def texts(self, node: yaml.Node, category: str, polarity: str) -> None:
        """Read one list of texts."""
        if not node.value:
            return
        self.filled.add((category, polarity))  # whatever is wrong in it, it is not empty
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, f"{category}, {polarity}", f"expected a list, got {_named(node)}")
            return
        for number, item in enumerate(node.value, start=1):
            text = self.text(item, f"{category}, {polarity} {number}")
            if text is not None:
                self.entries.append(_Entry(category, polarity, number, text, _line(item)))

    def field(self, node: yaml.Node, key: str) -> None:
        """Read one line of the header."""
        text = self.text(node, key)
        if text is not None and not text.isprintable():
            self.wrong(node, key, f"expected one line of text, got {_short(text)}")
        self.header[key] = text or ""

    def category(self, node: yaml.Node, category: str) -> None:
        """Read one category."""
        if not category.strip() or not category.isprintable():
            self.wrong(node, "categories", f"expected a name, got {_short(category)}")
            return
        self.lines[category], self.weights[category] = _line(node), 1.0
        if not isinstance(node, yaml.MappingNode):  # told once, not as two empty lists as well
            self.filled.update((category, polarity) for polarity in POLARITIES)
        fields = self.mapping(node, category, ("weight", *POLARITIES))
        if "weight" in fields:
            self.weights[category] = self.weight(fields["weight"], category)
        for polarity in POLARITIES:
            if polarity in fields:
                self.texts(fields[polarity], category, polarity)

    def document(self, node: yaml.Node) -> None:
        """Read the whole file."""
        if not isinstance(node, yaml.MappingNode):
            expected = ", ".join((*_HEADER, "categories"))
            self.wrong(node, "", f"expected a mapping with the keys {expected}, got {_named(node)}")
            return
        fields = self.mapping(node, "", (*_HEADER, "categories"))
        for key in (*_REQUIRED, "categories"):
            if key not in fields or not fields[key].value:
                self.wrong(fields.get(key, node), key, "missing or empty")
        for key in _HEADER:
            if key in fields and fields[key].value:
                self.field(fields[key], key)
        if "categories" in fields and fields["categories"].value:
            for name, value in self.mapping(fields["categories"], "categories").items():
                self.category(value, name)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 0


def _named(node: yaml.Node) -> str:
    """A node in words; a scalar as it is written, a collection by its kind alone."""
    if isinstance(node, yaml.ScalarNode):
        return _short(node.value)
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


def _without_node(error: Exception) -> _Finding:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None)
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    message = f"not YAML: {reason or error}"
    return _Finding("", message, fatal=True, line=mark.line + 1 if mark else 0)


def _read_bytes(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise FollowUpError(
            f"no follow-up set and no file {path!r}.{did_you_mean(path, available())} "
            f"Known sets: {', '.join(available())}. A set of your own is given as a YAML file "
            "(see one with `flr followups show short`)."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise FollowUpError(f"{path!r} cannot be read: {reason}. Expected a file.") from error
    if len(content) > MAX_BYTES:
        raise FollowUpError(f"{path} is larger than {MAX_BYTES} bytes; expected a follow-up set.")
    return content


def _read_text(path: str) -> str:
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FollowUpError(
            f"{path} is not UTF-8 text (byte {error.start}); save it in this encoding."
        ) from error


def _read(name_or_path: str | Path) -> _Reading:
    known = name_or_path in available()
    text = _read_text(str(DATA / f"{name_or_path}.yaml" if known else name_or_path))
    reading = _Reading()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except _UNREADABLE as error:
        reading.findings.append(_without_node(error))
        return reading
    if node is None:
        reading.findings.append(_Finding("", "empty file: expected a follow-up set", fatal=True))
        return reading
    reading.document(node)
    reading.findings += _about_weights(reading.weights)
    reading.findings += _about_empty(reading.weights, reading.filled, reading.lines)
    reading.findings += _about_texts(reading.entries)
    reading.findings.sort(key=lambda finding: finding.line)
    return reading


def _refuse(label: str, findings: Iterable[_Finding]) -> None:
    """Raise if any finding is fatal."""
    fatal = [f"{label}: {finding}" for finding in findings if finding.fatal]
    if not fatal:
        return
    lines = fatal[:MAX_LISTED]
    if len(fatal) > MAX_LISTED:
        lines.append(f"{label}: and {len(fatal) - MAX_LISTED} more problems")
    raise FollowUpError("\n".join([*lines, "See a set that is right: `flr followups show short`."]))


def _in_order(entries: Iterable[_Entry]) -> tuple[FollowUp, ...]:
    return tuple(
        FollowUp(entry.text, entry.category, POLARITIES[entry.polarity]) for entry in entries
    )


def available() -> tuple[str, ...]:
    """Names of the sets that come with flr.

    Example:
        >>> available()
        ('default', 'short')
    """
    return tuple(sorted(path.stem for path in DATA.glob("*.yaml")))


def load(name_or_path: str | Path) -> FollowUpSet:
    """Read a follow-up set.

    A known name wins over a file of the same name; `./default` means the file.

    Args:
        name_or_path: a name of `available`, or the path of a YAML file.

    Returns:
        The set; categories without a weight have 1.0.

    Raises:
        FollowUpError: there is no such set or file, or it cannot be used; every reason is listed.

    Example:
        >>> short = load("short")
        >>> len(short.followups), short.categories[0]
        (24, 'understanding')
    """
    reading = _read(name_or_path)
    _refuse(str(name_or_path), reading.findings)
    return FollowUpSet(
        **reading.header, followups=_in_order(reading.entries), weights=reading.weights
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
    return tuple(str(finding) for finding in _read(name_or_path).findings)


# --- sets that are in memory ---


def _entries_of(followup_set: FollowUpSet) -> list[_Entry]:
    words = {polarity: word for word, polarity in POLARITIES.items()}
    numbers: Counter[tuple[str, str]] = Counter()
    entries = list[_Entry]()
    for followup in followup_set.followups:
        place = followup.category, words[followup.polarity]
        numbers[place] += 1
        entries.append(_Entry(*place, numbers[place], followup.text))
    return entries


def _findings_of(followup_set: FollowUpSet) -> list[_Finding]:
    entries = _entries_of(followup_set)
    categories = dict.fromkeys([*followup_set.categories, *followup_set.weights])
    filled = {(entry.category, entry.polarity) for entry in entries}
    if not categories:
        return [_Finding("categories", "empty: expected at least one", fatal=True)]
    return [
        *_about_weights(followup_set.weights),
        *_about_empty(categories, filled, {}),
        *_about_texts(entries),
    ]


def problems(followup_set: FollowUpSet) -> tuple[str, ...]:
    """What is wrong with the content of a set, however it was made.

    Looked for: an empty list, an empty text, space at an end, a control character, a duplicate
    (also across categories), a text in both polarities, both styles of apostrophe (' and ’),
    weights that are not finite, negative or all 0.

    Args:
        followup_set: the set.

    Returns:
        One sentence a problem, naming category, polarity and number; empty where all is well.

    Example:
        >>> problems(FollowUpSet("mine", "en", "", "", (FollowUp("Yes!", "fit", 1),), {"fit": 1.0}))
        ('fit, negative: empty: expected at least one negative text',)
    """
    return tuple(str(finding) for finding in _findings_of(followup_set))


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
        "followups": [[f.category, f.polarity, f.text] for f in followup_set.followups],
        "weights": [[name, float(weights.get(name, 1.0))] for name in followup_set.categories],
    }
    canonical = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    """Quotes and escapes what does not print: PyYAML would lose a NEXT LINE (U+0085) else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(followup_set: FollowUpSet) -> str:
    """The set as the text of a YAML file, from which `load` makes the same set.

    Args:
        followup_set: the set, with its follow-ups category by category, positive before negative.

    Returns:
        YAML; a weight is written where it is not 1.0.
    """
    categories: dict[str, dict[str, float | list[str]]] = {}
    for name in followup_set.categories:
        weight = followup_set.weights.get(name, 1.0)
        categories[name] = {} if weight == 1.0 else {"weight": float(weight)}
        for word, polarity in POLARITIES.items():
            categories[name][word] = [
                followup.text
                for followup in followup_set.followups
                if (followup.category, followup.polarity) == (name, polarity)
            ]
    header = {key: getattr(followup_set, key) for key in _HEADER}
    return yaml.dump(
        header | {"categories": categories},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=sys.maxsize,
    )


# --- the published list ---


def _parsed(path: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in somebody else's file
            return ast.parse(_read_bytes(path))
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        raise FollowUpError(f"{path}: {place}not Python: {error.msg}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise FollowUpError(f"{path}: not Python that can be parsed: {error}.") from error


def _assigned(module: ast.Module) -> Iterator[tuple[str, str, ast.List]]:
    """Category, polarity and list of each module-level `<category>_pos|neg = [...]`."""
    for statement in module.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        single = isinstance(statement, ast.AnnAssign)
        for target in [statement.target] if single else statement.targets:
            match = isinstance(target, ast.Name) and re.fullmatch(r"(.+)_(pos|neg)", target.id)
            if match and isinstance(statement.value, ast.List):
                yield match[1], {"pos": "positive", "neg": "negative"}[match[2]], statement.value


def _literals(path: str, literal: ast.List) -> list[tuple[str, int]]:
    """The texts of a list with their lines."""
    texts = list[tuple[str, int]]()
    for item in literal.elts:
        if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
            raise FollowUpError(
                f"{path}: line {item.lineno}: expected a string literal in this list, "
                f"got `{ast.unparse(item)[:60]}`. The file is only parsed, never run: "
                "write the text out."
            )
        texts.append((item.value, item.lineno))
    return texts


def import_published(path: str | Path, name: str = "published") -> FollowUpSet:
    """Read a follow-up set from the Python file that the paper's authors published.

    The file (`utils.py` of github e0397123/FLR) holds lists `<category>_pos` and `<category>_neg`
    at module level. It is parsed and never executed; all other code in it is ignored. Order,
    duplicates and apostrophes stay as they are, so that its numbers can be remade.

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
        raise FollowUpError(f"a set cannot be named {_short(name)}; give a printable name.")
    lists = {(category, word): node for category, word, node in _assigned(_parsed(label))}
    if not lists:
        raise FollowUpError(
            f"{label}: no lists named <category>_pos and <category>_neg at module level; "
            "expected the authors' utils.py."
        )
    positive_first = sorted(lists, key=lambda key: key[1] != "positive")
    categories = list(dict.fromkeys(category for category, _ in positive_first))
    entries = [
        _Entry(category, word, number, text, line)
        for category in categories
        for word in POLARITIES
        if (category, word) in lists
        for number, (text, line) in enumerate(_literals(label, lists[category, word]), start=1)
    ]
    filled = {(entry.category, entry.polarity) for entry in entries}
    _refuse(label, [*_about_empty(categories, filled, {}), *_about_texts(entries)])
    return FollowUpSet(
        name=name,
        language="en",
        licence="NOASSERTION",
        source=f"imported from {Path(path).name}",
        followups=_in_order(entries),
        weights=dict.fromkeys(categories, 1.0),
    )


# --- does a set fit the conversations? ---


def _script(letter: str) -> str:
    """The first word of a letter's Unicode name, which names its script."""
    words = unicodedata.name(letter, "UNKNOWN").split()
    script = words[1] if words[0] in ("FULLWIDTH", "HALFWIDTH") and len(words) > 1 else words[0]
    return {"HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA", "CJK": "HAN"}.get(
        script, script
    )


def _script_counts(texts: Iterable[str]) -> Counter[str]:
    """Letters by script, of the beginnings of the first texts; Japanese is one script."""
    letters: Counter[str] = Counter()
    for text in islice(texts, SAMPLED_TEXTS):
        letters.update(text[:SAMPLED_CHARACTERS])
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():
            scripts[_script(letter)] += count
    if scripts["KANA"] > 0.1 * scripts["HAN"]:  # Chinese has no kana, Japanese is full of it
        scripts["JAPANESE"] = scripts.pop("KANA") + scripts.pop("HAN", 0)
    return +scripts


def _majority(scripts: Counter[str]) -> str | None:
    total = scripts.total()
    if total < FEWEST_LETTERS:
        return None
    script, count = scripts.most_common(1)[0]
    return script if count > total / 2 else None


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
        >>> script_mismatch(load("short"), ["Wie spät ist es?", "Es ist zwölf."]) is None
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
