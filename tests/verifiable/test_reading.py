"""Files of prompts: read as they stand, or refused with every reason and its place."""

import inspect

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flr import verifiable
from flr.errors import MAX_LISTED, InputError
from flr.verifiable import VerifiablePrompt
from flr.verifiable.checks import CHECKS
from flr.verifiable.reading import SHAPES

SUM = {
    "id": "sum",
    "kind": "number",
    "prompt": "2 + 2?",
    "answer": 4,
    "given": [2],
    "good": "4",
    "bad": "5",
}
HEN = {
    "id": "hen",
    "kind": "fact",
    "prompt": "Which bird lays breakfast?",
    "answers": ["hen", "chicken"],
    "wrong": ["cock"],
    "good": "The hen.",
    "bad": "The cock.",
}


def _parsed(*entries: object) -> tuple[VerifiablePrompt, ...]:
    return verifiable.parse(yaml.safe_dump({"prompts": entries and list(entries)}), "mine.yaml")


def test_prompts_are_read_as_they_stand():
    first, second = _parsed(SUM, HEN)
    assert (first.id, first.kind, first.prompt, first.good, first.bad) == (
        "sum", "number", "2 + 2?", "4", "5",
    )  # fmt: skip
    assert first.arguments == {"answer": 4, "given": [2]}
    assert second.arguments == {"answers": ["hen", "chicken"], "wrong": ["cock"]}
    assert second.passes("A chicken does.")


def _without(name: str) -> dict[str, object]:
    return {key: value for key, value in SUM.items() if key != name}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "row 1: expected the keys id, kind, prompt"),
        ([], "row 1: expected the keys"),
        (_without("id"), "row 1, id: expected a text, got 'nothing'"),
        (_without("prompt"), "row 1, sum.prompt: expected a text"),
        (_without("good"), "row 1, sum.good: expected a text"),
        (_without("bad"), "row 1, sum.bad: expected a text"),
        (_without("kind"), "row 1, sum.kind: expected one of number, items"),
        (_without("answer"), "row 1, sum.answer: missing; a prompt of the kind number needs it"),
        (SUM | {"id": True}, "row 1, True.id: expected a text, got 'True'"),
        (SUM | {"good": 4}, "row 1, sum.good: expected a text, got '4'"),
        (SUM | {"good": " 4"}, "row 1, sum.good: expected a text, got ' 4'"),
        (SUM | {"kind": "numbr"}, "got 'numbr'. Did you mean 'number'?"),
        (SUM | {"kind": ["fact"]}, "row 1, sum.kind: expected a text"),
        (SUM | {"giben": [2]}, "sum.giben: not expected in the kind number, .* mean 'given'?"),
        (SUM | {3: 4}, "row 1, sum.3: not expected"),
        (SUM | {"answer": "4"}, "row 1, sum.answer: expected a number, got '4'"),
        (SUM | {"answer": True}, "expected a number, got 'True'"),
        (SUM | {"given": 2}, "row 1, sum.given: expected a list of numbers"),
        (SUM | {"given": []}, "expected a list of numbers"),
        (SUM | {"given": [2, 2.0]}, "expected a list of numbers, no two the same"),
        (SUM | {"good": "5"}, "row 1, sum.good: does not pass its own check: '5'"),
        (SUM | {"bad": "four"}, "row 1, sum.bad: passes the check: 'four'"),
        (SUM | {"bad": "four", "good": "6"}, "sum.good: does not pass"),
        (HEN | {"wrong": "cock"}, "row 1, hen.wrong: expected a list of texts"),
        (HEN | {"wrong": [1]}, "row 1, hen.wrong: expected a list of texts"),
        (HEN | {"answers": ["hen", "hen"]}, "hen.answers: expected a list of texts, no two"),
    ],
)
def test_a_bad_entry_is_named(entry: object, message: str):
    with pytest.raises(InputError, match=r"mine\.yaml: .*" + message.replace("?", r"\?")):
        _parsed(entry)


LIST = {
    "kind": "items",
    "count": 2,
    "form": "commas",
    "prompt": "Two trees?",
    "good": "oak, elm",
    "bad": "oak",
}
OBJECT = {"kind": "json_keys", "prompt": "Ana?", "good": '{"name": "Ana"}', "bad": "Ana"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (LIST | {"count": 0, "form": "commas"}, "count: expected a whole number above 0, got '0'"),
        (LIST | {"count": 2.0, "form": "commas"}, "count: expected a whole number above 0"),
        (LIST | {"count": True, "form": "commas"}, "count: expected a whole number above 0"),
        (LIST | {"count": 2, "form": "comma"}, "form: expected one of hyphens, numbers, commas"),
        (LIST | {"count": 2, "form": []}, "form: expected one of hyphens, numbers, commas"),
        (LIST | {"among": ["oak"]}, "among: expected a list of lists of texts"),
        (LIST | {"among": [["oak"], ["oak"]]}, "among: expected a list of lists of texts, no two"),
        (OBJECT | {"keys": ["name"]}, "keys: expected keys, each with one of string, number"),
        (OBJECT | {"keys": {}}, "keys: expected keys"),
        (OBJECT | {"keys": {"name": "text"}}, "keys: expected keys"),
        (OBJECT | {"keys": {"name": ["string"]}}, "keys: expected keys"),
        (OBJECT | {"keys": {1: "string"}}, "keys: expected keys"),
        (OBJECT | {"keys": {"name": "string"}, "values": {"nane": "Ana"}}, "good: does not pass"),
        (OBJECT | {"keys": {"name": "string"}, "values": "Ana"}, "values: expected keys"),
        (
            OBJECT
            | {"keys": {"name": "strings"}, "values": {"name": 3}, "good": '{"name": ["Ana"]}'},
            "good: does not pass",
        ),
    ],
)
def test_a_bad_argument_is_named(entry: dict[str, object], message: str):
    with pytest.raises(InputError, match=f"row 1, mine.{message}"):
        _parsed({"id": "mine"} | entry)


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_rows():
    again = SUM | {"good": "5", "bad": "4", "prompt": "2 + 2 ?"}
    with pytest.raises(InputError) as caught:
        _parsed(SUM, HEN | {"kind": "fct"}, again)
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [
        (2, "hen.kind"),
        (3, "id"),
        (3, "prompt"),
        (3, "sum.good"),
        (3, "sum.bad"),
    ]
    assert "that of row 1 again" in str(caught.value)


def test_a_long_list_of_reasons_is_cut_and_counted():
    with pytest.raises(InputError, match="and 5 more problems"):
        _parsed(
            *(
                {} | SUM | {"id": f"n{n}", "prompt": f"{n}?", "good": "5"}
                for n in range(9 + MAX_LISTED - 4)
            )
        )


UNREADABLE = {
    "nothing": "",
    "a scalar": "12",
    "a list": "[1]",
    "no prompts": "licence: Apache-2.0",
    "prompts that are none": "prompts: {a: 1}",
    "empty prompts": "prompts: []",
    "cut": "prompts: [",
    "NUL": "\0",
    "two documents": "prompts: [1]\n---\nprompts: [2]",
    "deep": "[" * 5000,
    "a tag that would run code": "prompts: !!python/object/apply:os.system [ls]",
    "impossible date": "prompts: [2001-99-99]",
    "a key twice": "prompts: [{id: a, id: b}]",
    "a list for a key": "prompts: [{[a]: b}]",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_file_of_prompts_is_refused(text: str):
    with pytest.raises(InputError, match=r"mine\.yaml: "):
        verifiable.parse(text, "mine.yaml")


@settings(max_examples=150)
@given(text=st.text(alphabet="ab:-[]{}?&*!|>'\"#, \n\t\\0~%@", max_size=60))
def test_no_text_escapes_as_another_error(text: str):
    with pytest.raises(InputError):
        verifiable.parse("prompts:\n  - id: " + text, "mine.yaml")


def test_every_argument_of_every_check_has_a_shape():
    for check in CHECKS.values():
        assert set(list(inspect.signature(check).parameters)[1:]) <= SHAPES.keys()


def test_a_key_that_is_there_twice_is_named():
    text = yaml.safe_dump({"prompts": [SUM]}, sort_keys=False)
    assert verifiable.parse(text, "mine.yaml")
    with pytest.raises(InputError, match=r"the key 'answer' is there twice\n.* line 6"):
        verifiable.parse(text.replace("  answer: 4\n", "  answer: 3\n  answer: 4\n"), "mine.yaml")
