"""The rule for a response that has to be a JSON object.

JSON is read to the letter, and from whatever a model may have written: broken, endless or nested
beyond all measure, it is a response that fails, never an error.
"""

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from flr.verifiable.text import touches, words_of

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "list": list,
}
"""What the value of a JSON key may have to be."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_FENCED = re.compile(r"```(?:json)?\s(.*)```", re.DOTALL | re.IGNORECASE)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_repeat(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _object(response: str) -> dict[str, Any]:
    """The JSON object that a response is, bare or in one code fence; empty where it is none."""
    text = response.strip()
    fenced = _FENCED.fullmatch(text)
    try:
        found = json.loads(
            fenced[1] if fenced else text,
            parse_constant=_no_constant,
            object_pairs_hook=_no_repeat,
        )
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_a(value: Any, kind: str) -> bool:
    """Whether a value is of a type of `TYPES` and not empty; truth values are no numbers."""
    if isinstance(value, bool):
        return kind == "boolean"
    filled = bool(words_of(value)) if isinstance(value, str) else value != []
    return isinstance(value, TYPES[kind]) and filled


def _same(value: Any, expected: Any) -> bool:
    if isinstance(value, str) and isinstance(expected, str):
        return words_of(value) == words_of(expected)
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_same, value, expected))
    return value == expected


def json_keys(
    response: str,
    *,
    keys: Mapping[str, str],
    values: Mapping[str, Any] = _NOTHING,
    about: Sequence[str] = (),
) -> bool:
    """Whether a response is one JSON object with exactly these keys, and nothing else.

    It may stand in one code fence. Each value is of its key's type and not empty (a text has a
    word in it); a key that is there twice, NaN and Infinity are no JSON.

    Args:
        response: the text.
        keys: the type of each key's value, one of `TYPES`.
        values: what the values of some keys have to be; of texts only the words count.
        about: beginnings of words, one of which has to occur.

    Example:
        >>> json_keys('{"name": "Ana", "age": 31}', keys={"name": "string", "age": "number"})
        True
        >>> json_keys('{"name": "Ana", "age": "?"}', keys={"name": "string", "age": "number"})
        False
    """
    found = _object(response)
    typed = found.keys() == keys.keys() and all(_is_a(found[key], keys[key]) for key in keys)
    right = typed and all(_same(found.get(key), values[key]) for key in values)
    return right and touches(response, *about)
