"""Reads the YAML file of a follow-up set, and finds all that is wrong with it at once.

PyYAML's safe loader composes the file into nodes and they are read from there. So nothing is ever
constructed, a text that YAML takes for something else (`no`, `12`, `Wait: what?`) is named with
its line, and a repeated key is seen.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from flr.errors import FollowUpError, did_you_mean
from flr.followup_checks import POLARITIES, Finding, about_content, empty_list, shown
from flr.types import FollowUp

DATA = Path(__file__).parent / "data" / "followups"
"""Where the shipped sets lie, one YAML file each."""

MAX_BYTES = 1_000_000
"""A larger file is no follow-up set (one of 120 texts has about 7 kB)."""

HEADER = ("name", "language", "licence", "source")
_REQUIRED = ("name", "language", "categories")
_UNREADABLE = (yaml.YAMLError, ValueError, OverflowError, RecursionError)  # "\UFFFFFFFF", "[[[[..."


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


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 0


def _named(node: yaml.Node) -> str:
    """A node in words; a scalar as it is written, a collection by its kind alone."""
    if isinstance(node, yaml.ScalarNode):
        return shown(node.value)
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


@dataclass(slots=True)
class Reading:
    """What was read from one file, texts by their place in it, and all that was wrong with it."""

    header: dict[str, str] = field(default_factory=lambda: dict.fromkeys(HEADER, ""))
    weights: dict[str, float] = field(default_factory=dict[str, float])
    texts: dict[str, FollowUp] = field(default_factory=dict[str, FollowUp])
    lines: dict[str, int] = field(default_factory=dict[str, int])
    findings: list[Finding] = field(default_factory=list[Finding])

    def wrong(self, node: yaml.Node, place: str, message: str) -> None:
        """Note something that makes the set unusable."""
        self.findings.append(Finding(place, message, fatal=True, line=_line(node)))

    def text(self, node: yaml.Node, place: str) -> str | None:
        """The text of a scalar; None, and a finding, where YAML sees anything else."""
        if not isinstance(node, yaml.ScalarNode):
            is_mapping = isinstance(node, yaml.MappingNode)
            hint = "; a text with a colon needs quotes" if is_mapping else ""
            self.wrong(node, place, f"expected a text, got {_named(node)}{hint}")
            return None
        kind, written = node.tag.rpartition(":")[2], shown(node.value)
        if kind == "str":
            return node.value
        self.wrong(node, place, f"expected a text, but YAML reads {written} as {kind}; quote it")
        return None

    def mapping(
        self, node: yaml.Node, place: str, known: tuple[str, ...] = ()
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
                self.wrong(key_node, place, f"the key {shown(key)} is there twice")
            elif key is not None and known and key not in known:
                allowed = f"{did_you_mean(key, known)} Expected: {', '.join(known)}."
                self.wrong(key_node, place, f"unknown key {shown(key)}.{allowed}")
            elif key is not None:
                values[key] = value
        return values

    def weight(self, node: yaml.Node, category: str) -> None:
        """Read the weight of a category."""
        place = f"{category}, weight"
        try:
            self.weights[category], self.lines[place] = float(node.value), _line(node)
        except (TypeError, ValueError):
            self.wrong(node, place, f"expected a finite number >= 0, got {_named(node)}")

    def side(self, node: yaml.Node, category: str, polarity: str) -> None:
        """Read one of the two lists of a category."""
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, f"{category}, {polarity}", f"expected a list, got {_named(node)}")
            return
        for number, item in enumerate(node.value, start=1):
            place = f"{category}, {polarity} {number}"
            text, self.lines[place] = self.text(item, place), _line(item)
            if text is not None:
                self.texts[place] = FollowUp(text, category, POLARITIES[polarity])

    def category(self, node: yaml.Node, category: str) -> None:
        """Read one category."""
        if not category.strip() or not category.isprintable():
            self.wrong(node, "categories", f"expected a name, got {shown(category)}")
            return
        self.weights[category] = 1.0
        fields = self.mapping(node, category, ("weight", *POLARITIES))
        if "weight" in fields:
            self.weight(fields["weight"], category)
        for polarity in POLARITIES if isinstance(node, yaml.MappingNode) else ():
            if polarity in fields and fields[polarity].value:
                self.side(fields[polarity], category, polarity)
            else:
                self.findings.append(empty_list(category, polarity, _line(node)))

    def document(self, node: yaml.Node) -> None:
        """Read the whole file."""
        fields = self.mapping(node, "", (*HEADER, "categories"))
        given = {key: value for key, value in fields.items() if value.value}
        for key in _REQUIRED if isinstance(node, yaml.MappingNode) else ():
            if key not in given:
                self.wrong(fields.get(key, node), key, "missing or empty")
        for key in given.keys() & set(HEADER):
            self.header[key] = text = self.text(given[key], key) or ""
            if not text.isprintable():
                self.wrong(given[key], key, f"expected one line of text, got {shown(text)}")
        if "categories" in given:
            for name, value in self.mapping(given["categories"], "categories").items():
                self.category(value, name)


def _not_yaml(error: Exception) -> Finding:
    mark, reason = (getattr(error, name, None) for name in ("problem_mark", "problem"))
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    reason = reason or getattr(error, "reason", None) or error
    return Finding("", f"not YAML: {reason}", fatal=True, line=mark.line + 1 if mark else 0)


def _text_of(path: str) -> str:
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
    text = _text_of(str(DATA / f"{name_or_path}.yaml" if known else name_or_path))
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except _UNREADABLE as error:
        reading.findings.append(_not_yaml(error))
        return reading
    if node is None:
        reading.findings.append(Finding("", "empty file: expected a follow-up set", fatal=True))
        return reading
    reading.document(node)
    for finding in about_content(reading.texts, reading.weights):
        line = reading.lines.get(finding.place, 0)
        reading.findings.append(replace(finding, line=line))
    reading.findings.sort(key=lambda finding: finding.line)
    return reading
