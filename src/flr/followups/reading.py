"""Reads the YAML file of a follow-up set, and finds all that is wrong with it at once.

PyYAML's safe loader composes the file into nodes; their leaves are read one by one, each by the
keys above it (`categories`, its category, `positive`, 1). So nothing is ever constructed, a text
that YAML takes for something else (`no`, `12`) is named with its line, a repeated key is seen. In
place of a text there may be a mapping of `text` and `weight`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from flr.errors import FollowUpError, did_you_mean
from flr.followups.checks import POLARITIES, Finding, about, shown
from flr.types import FollowUp

DATA = Path(__file__).parents[1] / "data" / "followups"
"""Where the shipped sets lie, one YAML file each."""

MAX_BYTES = 1_000_000
"""A larger file is no follow-up set (one of 120 texts has about 7 kB)."""

HEADER = ("name", "language", "licence", "source")
_KEYS = (*HEADER, "categories", "weight", "text", *POLARITIES)
_TOP = f"Expected the keys {', '.join((*HEADER, 'categories'))}."
_INSIDE = (
    "Expected categories, each with the lists positive and negative of texts and perhaps a weight; "
    "a text with a colon in it needs quotes; one with a weight is {text: ..., weight: 0.5}."
)
_DEEPEST = 6
"""One more than the keys of a text with a weight: enough to see that something else is there."""

_UNREADABLE = (yaml.YAMLError, ValueError, OverflowError)  # "\UFFFFFFFF"

_Path = tuple[str | int, ...]


def available() -> tuple[str, ...]:
    """Names of the sets that come with flr.

    Example:
        >>> available()
        ('default', 'short')
    """
    return tuple(sorted(path.stem for path in DATA.glob("*.yaml")))


def read_bytes(path: str) -> bytes:
    """The content of a file that a user named in place of a set."""
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


def _place(path: _Path) -> str:
    """`a, positive 1` for what lies under the keys `categories`, `a`, `positive`, 1."""
    parts = (f" {part}" if isinstance(part, int) else f", {part}" for part in path)
    return "".join(parts).removeprefix(", categories, ").removeprefix(", ")


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 0


@dataclass(slots=True)
class Reading:
    """What was read from one file, texts by their place in it, and all that was wrong with it."""

    header: dict[str, str] = field(default_factory=lambda: dict.fromkeys(HEADER, ""))
    weights: dict[str, float] = field(default_factory=dict[str, float])
    texts: dict[str, FollowUp] = field(default_factory=dict[str, FollowUp])
    own_weights: dict[str, float] = field(default_factory=dict[str, float])
    lines: dict[str, int] = field(default_factory=dict[str, int])
    findings: list[Finding] = field(default_factory=list[Finding])

    def wrong(self, node: yaml.Node, place: str, message: str) -> None:
        """Note something that makes the set unusable."""
        self.findings.append(Finding(place, message, fatal=True, line=_line(node)))

    def text(self, node: yaml.Node, place: str) -> str:
        """What a node says, as it is written; with a finding where YAML sees no text in it."""
        written = node.value if isinstance(node, yaml.ScalarNode) else ""
        kind = node.tag.rpartition(":")[2]
        if kind != "str":
            got = f"YAML reads {shown(written)} as {kind}; quote it"
            self.wrong(node, place, f"expected a text, but {got}")
        return written

    def line(self, node: yaml.Node, place: str) -> str:
        """A text that is a name or the like: one line, printable."""
        text = self.text(node, place)
        if not text.strip() or not text.isprintable():
            self.wrong(node, place, f"expected one line of text, got {shown(text)}")
        return text

    def leaves(self, node: yaml.Node, path: _Path) -> Iterator[tuple[_Path, yaml.Node]]:
        """Every scalar and every empty collection, with the keys and numbers above it."""
        if isinstance(node, yaml.ScalarNode) or not node.value or len(path) == _DEEPEST:
            yield path, node
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value, start=1):
                yield from self.leaves(item, (*path, number))
        else:
            known = set[str]()
            for key_node, value in node.value:
                key = self.line(key_node, _place((*path, "key")))
                if key in known:
                    self.wrong(key_node, _place(path), f"the key {shown(key)} is there twice")
                else:
                    known.add(key)
                    yield from self.leaves(value, (*path, key))

    def weight(self, node: yaml.Node, of: dict[str, float], name: str, place: str) -> None:
        """Read the weight of a category, or of the text at a place."""
        try:
            of[name] = float(node.value)
        except (TypeError, ValueError):
            self.wrong(node, place, f"expected a finite number >= 0, got {shown(str(node.value))}")

    def leaf(self, path: _Path, node: yaml.Node) -> None:
        """Read what lies under these keys; a header or list without content counts as missing."""
        place = _place(path)
        match path:
            case ("categories", str(category), "positive" | "negative" as word, int()):
                self.texts[place] = FollowUp(self.text(node, place), category, POLARITIES[word])
            case ("categories", str(category), "positive" | "negative" as word, int(), "text"):
                text = self.text(node, place)
                self.texts[_place(path[:-1])] = FollowUp(text, category, POLARITIES[word])
            case ("categories", str(), "positive" | "negative", int(), "weight"):
                self.weight(node, self.own_weights, _place(path[:-1]), place)
            case ("categories", str(category), "weight"):
                self.weight(node, self.weights, category, place)
            case ("name" | "language" | "licence" | "source" as key,):
                self.header[key] = self.line(node, place) if node.value else ""
            case ("categories", *_) if len(path) <= 3 and not node.value:
                pass  # an empty list, or all of them: told with the content
            case _:
                near = did_you_mean(str(path[-1]), _KEYS) if path else ""
                expected = _TOP if len(path) < 2 else _INSIDE
                self.wrong(node, place, f"not expected here.{near} {expected}")

    def weigh(self) -> None:
        """Give texts their own weights, which may stand before them."""
        for place, weight in self.own_weights.items():
            if place in self.texts:
                self.texts[place] = replace(self.texts[place], weight=weight)
            else:
                line = self.lines[f"{place}, weight"]
                self.findings.append(Finding(place, "a weight without a text", True, line))

    def document(self, root: yaml.Node) -> None:
        """Read the whole file."""
        for path, node in self.leaves(root, ()):
            self.lines[_place(path)] = _line(node)
            if path[-1:] == ("text",):  # so that a text has the line of its place
                self.lines[_place(path[:-1])] = _line(node)
            if len(path) > 1 and path[0] == "categories" and isinstance(path[1], str):
                self.weights.setdefault(path[1], 1.0)
                for word in POLARITIES:  # where an empty list is told
                    self.lines.setdefault(f"{path[1]}, {word}", _line(node))
            self.leaf(path, node)
        for key in ("name", "language"):
            if not self.header[key]:
                self.wrong(root, key, "missing or empty")
        self.weigh()
        rank = {category: number for number, category in enumerate(self.weights)}
        by_place = self.texts.items()
        self.texts = dict(sorted(by_place, key=lambda at: (rank[at[1].category], -at[1].polarity)))


def _not_yaml(error: Exception) -> Finding:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return Finding("", f"not YAML: {reason}", fatal=True, line=mark.line + 1 if mark else 0)


def _decoded(path: str) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FollowUpError(
            f"{path} is not UTF-8 text (byte {error.start}); save it in this encoding."
        ) from error


def read(name_or_path: str | Path) -> Reading:
    """All that is in a set's file, and all that is wrong with it in the order of its lines.

    Raises:
        FollowUpError: there is no such set or file, or it is not a text file.
    """
    known, reading = name_or_path in available(), Reading()
    text = _decoded(str(DATA / f"{name_or_path}.yaml" if known else name_or_path))
    try:
        reading.document(yaml.compose(text, Loader=yaml.SafeLoader) or yaml.MappingNode("", []))
    except RecursionError:  # its own words depend on how deep the caller is
        reading.findings.append(_not_yaml(ValueError("it is nested too deeply")))
        return reading
    except _UNREADABLE as error:
        reading.findings.append(_not_yaml(error))
        return reading
    for finding in about(reading.texts, reading.weights):
        reading.findings.append(replace(finding, line=reading.lines.get(finding.place, 0)))
    reading.findings.sort(key=lambda finding: finding.line)
    return reading
