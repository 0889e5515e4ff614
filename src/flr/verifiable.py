"""Prompts whose responses a program can check: a measure that no model's opinion enters.

The prompts are data (`data/verifiable/prompts.yaml`): each has a kind, that kind's arguments, an
example that passes and one that fails. Reading refuses a file with anything wrong in it, and says
all that is. How each kind is judged is `verifiable_checks`'; sampling the responses and counting
those that pass is done elsewhere.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from flr.errors import InputError, Problem, did_you_mean
from flr.followup_checks import shown
from flr.verifiable_checks import CHECKS, FORMS, TYPES
from flr.verifiable_text import echoes, repeats_itself, words_of

DATA = Path(__file__).parent / "data" / "verifiable" / "prompts.yaml"
"""Where the prompts lie."""

KINDS = tuple(CHECKS)
"""What a program can be asked to check, in the order of the documentation."""

LONGEST = 5_000
"""Characters; no prompt needs a tenth of them, and no longer response passes."""


@dataclass(frozen=True, slots=True)
class VerifiablePrompt:
    """A prompt, and how a response to it is judged.

    Args:
        id: a short name, unique among the prompts.
        kind: one of `KINDS`.
        prompt: what the user says.
        arguments: what its kind's check takes beside the response.
        good: a response that passes.
        bad: a plausible response that fails.
    """

    id: str
    kind: str
    prompt: str
    arguments: Mapping[str, Any] = field(hash=False)
    good: str
    bad: str

    def passes(self, response: str) -> bool:
        """Whether a response does what the prompt asks, as far as a program can see.

        A copy of the prompt or of a part of it, the same words over and over, and more than
        `LONGEST` characters fail whatever the kind; an empty response passes no check. Where the
        prompt stands in the response among other things, those have to pass without it too.

        Args:
            response: the text, without template tokens or think blocks.

        Example:
            >>> by_id = {prompt.id: prompt for prompt in load()}
            >>> legs = by_id["spider-legs"]
            >>> legs.passes("A spider has eight legs."), legs.passes("Six or eight.")
            (True, False)
        """
        if len(response) > LONGEST or echoes(response, self.prompt) or repeats_itself(response):
            return False
        rest = re.sub(re.escape(self.prompt), " ", response, flags=re.IGNORECASE)
        check = CHECKS[self.kind]
        return all(check(text, **self.arguments) for text in {response, rest})


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
    return isinstance(value, dict) and bool(value) and all(value[key] in TYPES for key in value)


_TEXTS = (_are(_is_text), "a list of texts, no two the same")
SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "answer": (_is_number, "a number"),
    "given": (_are(_is_number), "a list of numbers, no two the same"),
    "count": (_is_count, "a whole number above 0"),
    "limit": (_is_count, "a whole number above 0"),
    "form": (lambda value: value in FORMS, f"one of {', '.join(FORMS)}"),
    "sentence": (_is_text, "a text"),
    "keys": (_are_types, f"keys, each with one of {', '.join(TYPES)}"),
    "values": (lambda value: isinstance(value, dict), "keys and their values"),
    **dict.fromkeys(("words", "about", "among", "answers", "wrong"), _TEXTS),
}
"""What an argument of a check has to be: a test, and how it is said."""

_TEXT_KEYS = ("id", "kind", "prompt", "good", "bad")


def _about_arguments(kind: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parameters = list(inspect.signature(CHECKS[kind]).parameters.values())[1:]
    known = [one.name for one in parameters]
    for one in parameters:
        if one.name not in entry and one.default is one.empty:
            yield one.name, f"missing; a prompt of the kind {kind} needs it"
    for name, value in entry.items():
        if name in known and not SHAPES[name][0](value):
            yield name, f"expected {SHAPES[name][1]}, got {shown(str(value))}"
        elif name not in known and name not in _TEXT_KEYS:
            near = did_you_mean(name, known)
            yield name, f"not expected in the kind {kind}, which takes {', '.join(known)}.{near}"


def _about_shape(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with one entry by itself, but for what its check says of its examples."""
    for name in _TEXT_KEYS:
        if not _is_text(entry.get(name)):
            yield name, f"expected a text, got {shown(str(entry.get(name, 'nothing')))}"
    kind = entry.get("kind")
    if kind in KINDS:
        yield from _about_arguments(kind, entry)
    else:
        near = did_you_mean(str(kind), KINDS)
        yield "kind", f"expected one of {', '.join(KINDS)}, got {shown(str(kind))}.{near}"


def _made(entry: Mapping[str, Any]) -> VerifiablePrompt:
    arguments = {name: value for name, value in entry.items() if name not in _TEXT_KEYS}
    return VerifiablePrompt(arguments=arguments, **{name: entry[name] for name in _TEXT_KEYS})


def _about_examples(prompt: VerifiablePrompt) -> Iterator[tuple[str, str]]:
    if not prompt.passes(prompt.good):
        yield "good", f"does not pass its own check: {shown(prompt.good)}"
    if prompt.passes(prompt.bad):
        yield "bad", f"passes the check: {shown(prompt.bad)}"
    if prompt.passes(prompt.prompt):
        yield "prompt", "passes its own check when it is said back"


def _about_entry(entry: Any) -> list[tuple[str, str]]:
    if not isinstance(entry, dict):
        return [("", f"expected the keys {', '.join(_TEXT_KEYS)} and arguments")]
    return list(_about_shape(entry)) or list(_about_examples(_made(entry)))


def _about_repeats(entries: list[Any]) -> Iterator[Problem]:
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
        keys = [key.value for key, _ in node.value]
        if repeated := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {repeated[0]!r} is there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _entries(text: str, label: str) -> list[Any]:
    try:
        content = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(label, [Problem(None, "", f"not YAML: {error}")]) from error
    entries = content.get("prompts") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(label, [Problem(None, "prompts", "expected a list of prompts")])
    return entries


def parse(text: str, label: str) -> tuple[VerifiablePrompt, ...]:
    """The prompts in the text of a YAML file.

    Args:
        text: a mapping with the key `prompts`: a list of entries.
        label: how errors name the file.

    Returns:
        The prompts in the file's order.

    Raises:
        InputError: anything is wrong with any entry; all of it is listed, by row and id.
    """
    entries = _entries(text, label)
    problems = list(_about_repeats(entries))
    for row, entry in enumerate(entries, start=1):
        name = entry.get("id", "") if isinstance(entry, dict) else ""
        for key, message in _about_entry(entry):
            problems.append(Problem(row, f"{name}.{key}".strip("."), message))
    if problems:
        raise InputError(label, sorted(problems, key=lambda problem: problem.row or 0))
    return tuple(map(_made, entries))


@cache
def load() -> tuple[VerifiablePrompt, ...]:
    """The prompts that come with flr.

    Returns:
        The prompts in the file's order, kind by kind.

    Example:
        >>> prompts = load()
        >>> prompts[0].kind, prompts[0].passes(prompts[0].good)
        ('number', True)
    """
    return parse(DATA.read_text("utf-8"), DATA.name)
