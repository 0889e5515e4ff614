"""Reads the YAML file of verifiable prompts into entries, and finds what is wrong with their shape.

An entry is a mapping: `id`, `kind`, `prompt`, `good`, `bad`, and the arguments that the kind's
check takes, each of the shape that its name says. YAML's own types are taken as they are, so that
an unquoted `yes` or `12` where a text should be is named. Whether the examples are judged as they
should be is `verifiable`'s.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from flr.errors import InputError, Problem, did_you_mean
from flr.followups.checks import shown
from flr.verifiable.checks import CHECKS, FORMS
from flr.verifiable.json_rule import TYPES
from flr.verifiable.text import words_of

TEXT_KEYS = ("id", "kind", "prompt", "good", "bad")
"""What every entry has; all else in it is an argument of its check."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value == value.strip()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _are(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A list of at least one such value, no two the same."""

    def of_all(value: Any) -> bool:
        distinct = isinstance(value, list) and all(value.count(one) == 1 for one in value)
        return distinct and bool(value) and all(map(test, value))

    return of_all


def _are_types(value: Any) -> bool:
    if not isinstance(value, dict) or not all(map(_is_text, [*value, *value.values()])):
        return False
    return bool(value) and all(kind in TYPES for kind in value.values())


_TEXTS = (_are(_is_text), "a list of texts, no two the same")
_GROUPS = (_are(_are(_is_text)), "a list of lists of texts, no two the same")
SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "answer": (_is_number, "a number"),
    "given": (_are(_is_number), "a list of numbers, no two the same"),
    "count": (_is_count, "a whole number above 0"),
    "limit": (_is_count, "a whole number above 0"),
    "form": (lambda value: value in FORMS, f"one of {', '.join(FORMS)}"),
    "sentence": (_is_text, "a text"),
    "keys": (_are_types, f"keys, each with one of {', '.join(TYPES)}"),
    "values": (lambda value: isinstance(value, dict), "keys and their values"),
    **dict.fromkeys(("words", "about", "answers", "wrong"), _TEXTS),
    "among": _GROUPS,
}
"""What an argument of a check has to be: a test, and how it is said."""


def _about_arguments(kind: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parameters = list(inspect.signature(CHECKS[kind]).parameters.values())[1:]
    known = [one.name for one in parameters]
    for one in parameters:
        if one.name not in entry and one.default is one.empty:
            yield one.name, f"missing; a prompt of the kind {kind} needs it"
    for name, value in entry.items():
        if name in known and not SHAPES[name][0](value):
            yield name, f"expected {SHAPES[name][1]}, got {shown(str(value))}"
        elif name not in known and name not in TEXT_KEYS:
            near = did_you_mean(str(name), known)
            yield (
                str(name),
                f"not expected in the kind {kind}, which takes {', '.join(known)}.{near}",
            )


def about_shape(entry: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with the shape of one entry: keys, and what to say of them."""
    if not isinstance(entry, dict):
        yield "", f"expected the keys {', '.join(TEXT_KEYS)} and arguments"
        return
    for name in TEXT_KEYS:
        if not _is_text(entry.get(name)):
            yield name, f"expected a text, got {shown(str(entry.get(name, 'nothing')))}"
    kind = entry.get("kind")
    if isinstance(kind, str) and kind in CHECKS:
        yield from _about_arguments(kind, entry)
    else:
        near = did_you_mean(str(kind), list(CHECKS))
        yield "kind", f"expected one of {', '.join(CHECKS)}, got {shown(str(kind))}.{near}"


def about_repeats(entries: list[Any]) -> Iterator[Problem]:
    """An id or a prompt that an earlier entry has; of prompts only the words count."""
    first: dict[tuple[str, str], int] = {}
    for row, entry in enumerate(entries, start=1):
        for name in ("id", "prompt") if isinstance(entry, dict) else ():
            words = " ".join(words_of(str(entry.get(name))))
            earlier = first.setdefault((name, words), row)
            if earlier != row:
                yield Problem(row, name, f"that of row {earlier} again: {shown(words)}")


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which else takes the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known = list[Any]()
        for key, _ in node.value:
            if key.value in known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            known.append(key.value)
        return super().construct_mapping(node, deep)


def entries(text: str, label: str) -> list[Any]:
    """The entries under the key `prompts`, whatever they are.

    Raises:
        InputError: the text is not YAML, or there are none.
    """
    try:
        content = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(label, [Problem(None, "", f"not YAML: {error}")]) from error
    found = content.get("prompts") if isinstance(content, dict) else None
    if not isinstance(found, list) or not found:
        raise InputError(label, [Problem(None, "prompts", "expected a list of prompts")])
    return found
