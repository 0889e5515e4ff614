"""The rule for a response that has to be a JSON object.

JSON is read to the letter, and from whatever a model may have written: broken, endless or nested
beyond all measure, it is a response that fails, never an error.
"""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flr.verifiable.text import words_of


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(words_of(value))


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "strings": lambda value: isinstance(value, list) and value != [] and all(map(_is_text, value)),
}
"""What the value of a JSON key may have to be: texts have words, lists of them are not empty."""

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


def _fits(value: Any, expected: Any) -> bool:
    """Whether a value of the right type is the one expected, or one of several texts that are."""
    if isinstance(value, str):
        accepted = expected if isinstance(expected, list) else [expected]
        return words_of(value) in [words_of(str(one)) for one in accepted]
    if isinstance(value, list):
        held = [words_of(str(one)) for one in expected] if isinstance(expected, list) else []
        return sorted(map(words_of, value)) == sorted(held)
    return value == expected


def json_keys(
    response: str,
    *,
    keys: Mapping[str, str],
    values: Mapping[str, Any] = _NOTHING,
) -> bool:
    """Whether a response is one JSON object with exactly these keys, and nothing else.

    It may stand in one code fence. Each value is of its key's type and not empty (a text has a
    word in it); a key that is there twice, NaN and Infinity are no JSON.

    Args:
        response: the text.
        keys: the type of each key's value, one of `TYPES`.
        values: what the values of some keys have to be. Of texts only the words count; a list is
            all texts that a `string` may be, and for `strings` those that it holds in any order.

    Example:
        >>> json_keys('{"name": "Ana", "age": 31}', keys={"name": "string", "age": "number"})
        True
        >>> json_keys('{"name": "Ana", "age": "?"}', keys={"name": "string", "age": "number"})
        False
        >>> json_keys('{"opposite": "Hot"}', keys={"opposite": "string"},
        ...           values={"opposite": ["hot", "warm"]})
        True
    """
    found = _object(response)
    typed = found.keys() == keys.keys() and all(TYPES[keys[key]](found[key]) for key in keys)
    return typed and all(_fits(found.get(key), values[key]) for key in values)
