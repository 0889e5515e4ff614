"""Which responses are the JSON object that was asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.verifiable.json_rule import json_keys
from tests.verifiable_cases import cases

KEYS = {"name": "string", "age": "number", "tame": "boolean", "toys": "strings"}
PET = {"name": "Pip", "age": 3, "tame": False, "toys": ["ball"]}


def _pet(**changes: object) -> str:
    return json.dumps(PET | changes)


@cases(
    _pet(),
    json.dumps(PET, indent=4),
    f"\n```json\n{_pet()}\n```\n",
    f"```\r\n{_pet()}\r\n```",
    f"```JSON {_pet()}```",
    _pet(age=2.5),
    _pet(name="p\u202e🙂"),
    failing=(
        "",
        "{}",
        "null",
        f"[{_pet()}]",
        f"{_pet()} {_pet()}",
        f"Here it is: {_pet()}",
        f"```json\n{_pet()}\n```\nEnjoy!",
        f"```python\n{_pet()}\n```",
        _pet(extra=1),
        _pet(name=""),
        _pet(name=None),
        _pet(name=" .. "),
        _pet(age="3"),
        _pet(age=True),
        _pet(age=float("nan")),
        _pet(age=float("inf")),
        _pet(tame=0),
        _pet(tame="no"),
        _pet(toys=[]),
        _pet(toys="ball"),
        _pet(toys=[3]),
        _pet(toys=["ball", ""]),
        _pet(toys=[{"name": "ball"}]),
        _pet()[:-1],
        _pet() + "}",
        _pet().replace('"', "'"),
        _pet().replace("}", ",}"),
        _pet().replace("}", ', "age": 3}'),
        _pet().replace("3", "9" * 5000),
        _pet().replace("Pip", "\0"),
        "[" * 10_000,
        '{"name":' * 10_000,
        '{"name":' * 10_000 + "1" + "}" * 10_000,
    ),
)
def test_json_keys(response: str, expected: bool):
    assert json_keys(response, keys=KEYS) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"name": "PIP."}, True),
        ({"toys": ["Ball"]}, True),
        ({"name": "Pippa"}, False),
        ({"age": 4}, False),
        ({"age": 3.0}, True),
        ({"tame": True}, False),
        ({"toys": ["ball", "ball"]}, False),
        ({"toys": ["bell"]}, False),
    ],
)
def test_json_values(changes: dict[str, object], expected: bool):
    assert json_keys(_pet(**changes), keys=KEYS, values=PET) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"name": "Mr. Pip"}, True),
        ({"name": "Pip Mr."}, False),
        ({"name": "Pippa"}, False),
        ({"toys": ["Rope", "ball"]}, True),
        ({"toys": ["ball"]}, False),
        ({"toys": ["ball", "ball"]}, False),
        ({"toys": ["ball", "rope", "rope"]}, False),
    ],
)
def test_one_of_several_texts_and_lists_in_any_order(changes: dict[str, object], expected: bool):
    values = {"name": ["Pip", "Mr Pip"], "toys": ["ball", "rope"]}
    said = _pet(**({"toys": ["ball", "rope"]} | changes))
    assert json_keys(said, keys=KEYS, values=values) is expected


@given(keys=st.sets(st.text(max_size=4), min_size=1, max_size=5), value=st.text("abc", min_size=1))
def test_a_key_more_or_less_fails(keys: set[str], value: str):
    asked = dict.fromkeys(keys, "string")
    found = dict.fromkeys(keys, value)
    assert json_keys(json.dumps(found), keys=asked)
    assert not json_keys(json.dumps(found | {"other key": value}), keys=asked)
    found.popitem()
    assert not json_keys(json.dumps(found), keys=asked)
