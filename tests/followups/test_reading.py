"""Files that hold no usable set are refused, with every reason and its place."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr import followups
from flr.errors import MAX_LISTED, FollowUpError
from flr.followups.reading import MAX_BYTES
from tests.sets import saved

HEAD = "name: mine\nlanguage: en\n"
BODY = "categories: {a: {positive: [x], negative: [y]}}"


@pytest.fixture
def write(tmp_path: Path):
    return partial(saved, tmp_path)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "/", "nowhere/set.yaml"])
def test_what_is_no_file_is_a_user_error(path: str):
    for read in (followups.load, followups.check):
        with pytest.raises(FollowUpError):
            read(path)


def test_a_huge_or_undecodable_file_is_a_user_error(write):
    with pytest.raises(FollowUpError, match="larger than 1000000 bytes"):
        followups.check(write(b"#" * (MAX_BYTES + 1)))
    with pytest.raises(FollowUpError, match=r"not UTF-8 text \(byte 6\)"):
        followups.check(write(b"name: \xff"))


UNUSABLE = {
    "empty file": "",
    "only a comment": "# nothing\n",
    "a list": "[1, 2]",
    "a scalar": "2001-99-99",
    "cut": "name: [",
    "two documents": "a: 1\n---\nb: 1",
    "NUL": "\0",
    "impossible escape": 'name: "\\UFFFFFFFF"',
    "unknown alias": "name: *x",
    "deep": "[" * 20_000,
    "a list in itself": "&a [*a]",
    "a mapping in itself": HEAD + "categories: &a {x: *a}",
    "a tag that would run code": "name: !!python/object/apply:os.system [ls]",
    "no categories": HEAD,
    "null categories": HEAD + "categories:",
    "empty categories": HEAD + "categories: {}",
    "a category that is a list": HEAD + "categories: {a: [x]}",
    "no negative": HEAD + "categories: {a: {positive: [x]}}",
    "null negative": HEAD + "categories: {a: {positive: [x], negative: }}",
    "empty negative": HEAD + "categories: {a: {positive: [x], negative: []}}",
    "a text for a list": HEAD + "categories: {a: {positive: x, negative: [y]}}",
    "an empty text": HEAD + "categories: {a: {positive: [''], negative: [y]}}",
    "a blank text": HEAD + "categories: {a: {positive: ['  '], negative: [y]}}",
    "a bool": HEAD + "categories: {a: {positive: [yes], negative: [y]}}",
    "a number": HEAD + "categories: {a: {positive: [12], negative: [y]}}",
    "a null": HEAD + "categories: {a: {positive: [~], negative: [y]}}",
    "a date": HEAD + "categories: {a: {positive: [2024-01-01], negative: [y]}}",
    "a mapping by a colon": HEAD + "categories: {a: {positive: [Wait: what], negative: [y]}}",
    "half a surrogate pair": HEAD + 'categories: {a: {positive: ["\\ud800"], negative: [y]}}',
    "a bool for a category": HEAD + "categories: {no: {positive: [x], negative: [y]}}",
    "a nameless category": HEAD + "categories: {'': {positive: [x], negative: [y]}}",
    "a list for a key": HEAD + "categories: {? [a] : {positive: [x], negative: [y]}}",
    "no name": "language: en\n" + BODY,
    "an empty name": "name: ''\nlanguage: en\n" + BODY,
    "a name that steers": 'name: "\\e[2J"\nlanguage: en\n' + BODY,
    "no language": "name: n\n" + BODY,
    "a key twice": HEAD + "name: b\n" + BODY,
    "a category twice": HEAD + "categories:\n  a: {positive: [x], negative: [y]}\n  a: {}",
    "an unknown key": HEAD + "opening: hi\n" + BODY,
    "all weights 0": HEAD + "categories: {a: {weight: 0, positive: [x], negative: [y]}}",
    "a weight without a text": HEAD + "categories: {a: {positive: [{weight: 1}], negative: [y]}}",
    "a list for a text": HEAD + "categories: {a: {positive: [{text: [x]}], negative: [y]}}",
    "a text with more": HEAD + "categories: {a: {positive: [{text: x, w: 1}], negative: [y]}}",
    "an empty mapping": HEAD + "categories: {a: {positive: [{}], negative: [y]}}",
    **{
        f"weight {weight} of a text": HEAD
        + f"categories: {{a: {{positive: [{{text: x, weight: {weight}}}], negative: [y]}}}}"
        for weight in (0, -1, ".nan", ".inf", "1e999", "heavy", "[1]", "true", "")
    },
    **{
        f"weight {weight}": HEAD
        + f"categories: {{a: {{weight: {weight}, positive: [x], negative: [y]}}}}"
        for weight in (-1, ".nan", ".inf", "1e999", "heavy", "[1]", "true", "")
    },
}


@pytest.mark.parametrize("text", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_file_is_refused_and_check_says_why(write, text: str):
    path = write(text)
    found = followups.check(path)
    with pytest.raises(FollowUpError) as caught:
        followups.load(path)
    assert found
    assert all(f"{path}: {problem}" in str(caught.value) for problem in found)


@settings(max_examples=150)
@given(text=st.text(alphabet="ab:-[]{}?&*!|>'\"#, \n\t\\0~%@", max_size=60))
def test_no_text_whatever_escapes_as_another_error(tmp_path_factory, text: str):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(HEAD + "categories:\n  a: " + text, encoding="utf-8")
    if followups.check(path):
        with pytest.raises(FollowUpError):
            followups.load(path)


def test_a_long_list_of_reasons_is_cut_and_counted(write):
    texts = ", ".join(["''"] * (MAX_LISTED + 5))
    with pytest.raises(FollowUpError, match="and 5 more problems") as caught:
        followups.load(write(HEAD + f"categories: {{a: {{positive: [{texts}], negative: [y]}}}}"))
    assert str(caught.value).count("empty text") == MAX_LISTED


def test_check_names_every_problem_at_once_with_its_line_and_place(write):
    path = write(
        "name: 12\n"
        "langage: en\n"
        "categories:\n"
        "  a:\n"
        "    weight: -1\n"
        "    positive: [no, ' hi', \"Don't!\", Don’t., x, x]\n"
        "    positive: [again]\n"
        "    negative:\n"
        "      - Wait: what\n"
        "      - x\n"
        "      - ''\n"
        "      - 'ok'\n"
        '      - "o\\0k"\n'
        "      - weight: 0\n"
        "        text: never\n"
        "      - weight: 1\n"
        "  b: {negative: [y]}\n"
    )
    found = followups.check(path)
    expected = [
        ("line 1: name", "reads '12' as int; quote it"),
        ("line 1: language", "missing"),
        ("line 2: langage", "not expected here. Did you mean 'language'?"),
        ("line 5: a, weight", "expected a finite number >= 0, got -1.0"),
        ("line 6: a, positive 1", "reads 'no' as bool; quote it"),
        ("line 6: a, positive 2", "space at the beginning or end of ' hi'"),
        ("line 6: a, positive 6", "duplicate: 'x' is also a, positive 5"),
        ("line 6: a, positive 4", "mixed apostrophes"),
        ("line 7: a", "the key 'positive' is there twice"),
        ("line 9: a, negative 1, Wait", "a text with a colon in it needs quotes"),
        ("line 10: a, negative 2", "text in both polarities"),
        ("line 11: a, negative 3", "empty text"),
        ("line 13: a, negative 5", "control character in 'o\\x00k'"),
        ("line 14: a, negative 6, weight", "above 0, got 0.0; to leave a text out, remove it"),
        ("line 16: a, negative 7", "a weight without a text"),
        ("line 17: b, positive", "empty"),
    ]
    for problem, (place, message) in zip(found, expected, strict=True):
        assert problem.startswith(place + ": ")
        assert message in problem
