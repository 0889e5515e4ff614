"""The published Python file is parsed, never run, and kept as it is."""

from functools import partial
from pathlib import Path

import pytest

from flr import followups
from flr.errors import FollowUpError
from tests.sets import saved


@pytest.fixture
def write(tmp_path: Path):
    return partial(saved, tmp_path)


PUBLISHED = """
import nothing_that_exists
raise SystemExit("this file must never run")
first_neg = ["Don't.", "No."]
first_pos = other = [
    "Yes’s.",
    "Yes, " "joined.",
    "Yes’s.",
]
second_pos = ["Sure."]
if True:
    third_pos = ["not at module level"]
start_pos = 0
second_neg = ["\\d is an odd escape"]
"""


def test_the_published_file_is_parsed_and_never_run(write):
    imported = followups.import_published(write(PUBLISHED, "utils.py"))
    assert [(f.category, f.polarity, f.text) for f in imported.followups] == [
        ("first", 1, "Yes’s."),
        ("first", 1, "Yes, joined."),
        ("first", 1, "Yes’s."),
        ("first", -1, "Don't."),
        ("first", -1, "No."),
        ("second", 1, "Sure."),
        ("second", -1, "\\d is an odd escape"),
    ]
    assert (imported.name, imported.source) == ("published", "imported from utils.py")
    assert (imported.language, imported.licence) == ("en", "NOASSERTION")
    assert imported.weights == {"first": 1.0, "second": 1.0}


def test_an_imported_set_with_duplicates_and_mixed_apostrophes_is_kept_and_loads(write):
    imported = followups.import_published(write(PUBLISHED, "utils.py"), name="theirs")
    path = write(followups.to_yaml(imported))
    assert followups.load(path) == imported
    assert len(followups.problems(imported)) == len(followups.check(path)) == 2


def test_of_two_lists_of_one_name_the_last_counts(write):
    imported = followups.import_published(write("a_pos = ['old']\na_neg = ['n']\na_pos = ['new']"))
    assert [followup.text for followup in imported.followups] == ["new", "n"]


def test_categories_come_in_the_order_of_their_positive_lists(write):
    text = "a_neg = ['1']\nb_pos = ['2']\nb_neg = ['3']\na_pos = ['4']"
    assert followups.import_published(write(text)).categories == ("b", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def (", "line 1: not Python"),
        ("name: default\ncategories:\n  - x y\n", "line 2: not Python"),
        ("a\0b", "not Python"),
        ("(" * 50_000, "not Python"),
        ("", "no lists named <category>_pos"),
        ("x = ['a']\n_pos = ['a']\na_pos = 1", "no lists named"),
        ("a_neg = ['n']\na_pos = [\n  'x',\n  y,\n]", "line 4: expected a string literal"),
        ("a_pos = ['x']\na_neg = [f'{1}']", r"line 2: expected a string literal, got `f'\{1\}'`"),
        ("a_pos = [1]\na_neg = ['x']", "got `1`"),
        ("a_pos = [b'x']\na_neg = ['x']", "got `b'x'`"),
        ("a_pos = ['x']", "a, negative: empty"),
        ("a_pos = []\na_neg = ['x']", "a, positive: empty"),
        ("a_pos = ['x']\na_neg = [' ']", "a, negative 1: empty text"),
    ],
)
def test_what_is_no_published_file_is_refused(write, text: str, message: str):
    with pytest.raises(FollowUpError, match=message):
        followups.import_published(write(text, "utils.py"))


def test_a_set_needs_a_printable_name(write):
    for name in ("", " ", "a\nb"):
        with pytest.raises(FollowUpError, match="cannot be named"):
            followups.import_published(write(PUBLISHED), name)
