"""Follow-up sets: the shipped ones, reading, checking, hashing, writing, importing, scripts."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr import followups
from flr.errors import MAX_LISTED, FollowUpError
from flr.types import FollowUp, FollowUpSet

CATEGORIES = (
    "understanding",
    "relevance",
    "correctness",
    "engagingness",
    "informativeness",
    "following",
)
HEAD = "name: mine\nlanguage: en\n"
BODY = "categories: {a: {positive: [x], negative: [y]}}"


def a_set(*texts: tuple[str, str, int], **weights: float) -> FollowUpSet:
    categories = dict.fromkeys(category for category, _, _ in texts)
    return FollowUpSet(
        "mine",
        "en",
        "",
        "",
        tuple(FollowUp(text, category, polarity) for category, text, polarity in texts),
        weights or dict.fromkeys(categories, 1.0),
    )


@pytest.fixture
def write(tmp_path: Path):
    def write_(text: str | bytes, name: str = "set.yaml") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write_


# --- the shipped sets ---


@pytest.mark.parametrize(("name", "each"), [("default", 10), ("short", 2)])
def test_a_shipped_set_is_whole_and_without_problems(name: str, each: int):
    shipped = followups.load(name)
    assert (shipped.name, shipped.language, shipped.licence) == (name, "en", "Apache-2.0")
    assert shipped.categories == CATEGORIES
    expected = [(c, p) for c in CATEGORIES for p in (1, -1) for _ in range(each)]
    assert [(f.category, f.polarity) for f in shipped.followups] == expected
    assert shipped.weights == dict.fromkeys(CATEGORIES, 1.0)
    assert followups.problems(shipped) == followups.check(name) == ()


@pytest.mark.parametrize("name", followups.available())
def test_a_shipped_set_reads_like_users_and_its_polarities_have_one_length(name: str):
    shipped = followups.load(name)
    for followup in shipped.followups:
        assert 4 <= len(followup.text.split()) <= 14
        assert followup.text[-1] in ".!?"
        assert followup.text.isascii()
    for category in CATEGORIES:
        lengths = {
            polarity: [
                len(f.text.split())
                for f in shipped.followups
                if (f.category, f.polarity) == (category, polarity)
            ]
            for polarity in (1, -1)
        }
        means = [sum(words) / len(words) for words in lengths.values()]
        assert abs(means[0] - means[1]) <= 0.5


def test_short_is_part_of_default():
    assert set(followups.load("short").followups) < set(followups.load("default").followups)


def test_every_data_file_is_a_known_set():
    assert followups.available() == ("default", "short")
    assert all(followups.load(name).name == name for name in followups.available())


# --- load ---


def test_load_reads_a_set_in_any_language(write):
    path = write(
        "name: kurz\nlanguage: de\nlicence: CC0-1.0\nsource: selbst\ncategories:\n"
        "  nützlich: {weight: 2, positive: ['Genau, danke! 🎉'], negative: [Quatsch.]}\n"
        "  相关: {positive: [说得对。], negative: [跑题了。]}\n"
    )
    loaded = followups.load(path)
    assert loaded == FollowUpSet(
        "kurz",
        "de",
        "CC0-1.0",
        "selbst",
        (
            FollowUp("Genau, danke! 🎉", "nützlich", 1),
            FollowUp("Quatsch.", "nützlich", -1),
            FollowUp("说得对。", "相关", 1),
            FollowUp("跑题了。", "相关", -1),
        ),
        {"nützlich": 2.0, "相关": 1.0},
    )
    assert followups.load(Path(path)) == loaded


def test_positive_comes_before_negative_however_the_file_orders_them(write):
    loaded = followups.load(write(HEAD + "categories: {a: {negative: [n.], positive: [p.]}}"))
    assert [followup.text for followup in loaded.followups] == ["p.", "n."]
    assert (loaded.licence, loaded.source) == ("", "")


def test_a_byte_order_mark_and_windows_line_ends_are_read(write):
    text = HEAD + "categories:\n  a:\n    positive: [p.]\n    negative: [n.]\n"
    loaded = followups.load(write(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()))
    assert [followup.text for followup in loaded.followups] == ["p.", "n."]


def test_a_known_name_wins_over_a_file_and_a_path_means_the_file(write, monkeypatch, tmp_path):
    write(HEAD + "categories: {a: {positive: [p.], negative: [n.]}}", "default")
    monkeypatch.chdir(tmp_path)
    assert followups.load("default").name == "default"
    assert followups.load("./default").name == "mine"


def test_an_unknown_name_says_what_is_known():
    with pytest.raises(FollowUpError) as caught:
        followups.load("defualt")
    message = str(caught.value)
    assert "no follow-up set and no file 'defualt'" in message
    assert "Did you mean 'default'?" in message
    assert "Known sets: default, short." in message
    assert "YAML file" in message


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "/", "nowhere/set.yaml"])
def test_what_is_no_file_is_a_user_error(path: str):
    for read in (followups.load, followups.check):
        with pytest.raises(FollowUpError):
            read(path)


def test_a_huge_or_undecodable_file_is_a_user_error(write):
    with pytest.raises(FollowUpError, match="larger than 1000000 bytes"):
        followups.check(write(b"#" * (followups.MAX_BYTES + 1)))
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
    "deep": "[" * 2000,
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


@settings(max_examples=150, deadline=None)
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


# --- check and problems ---


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
        "  b: {negative: [y]}\n"
    )
    found = followups.check(path)
    expected = [
        ("line 1: language", "missing"),
        ("line 1: name", "reads '12' as int; quote it"),
        ("line 2", "unknown key 'langage'. Did you mean 'language'?"),
        ("line 5: a, weight", "expected a finite number >= 0, got -1.0"),
        ("line 6: a, positive 1", "reads 'no' as bool; quote it"),
        ("line 6: a, positive 2", "space at the beginning or end of ' hi'"),
        ("line 6: a, positive 6", "duplicate: 'x' is also a, positive 5"),
        ("line 6: a, positive 4", "mixed apostrophes"),
        ("line 7: a", "the key 'positive' is there twice"),
        ("line 9: a, negative 1", "got a mapping; a text with a colon needs quotes"),
        ("line 10: a, negative 2", "text in both polarities"),
        ("line 11: a, negative 3", "empty text"),
        ("line 13: a, negative 5", "control character in 'o\\x00k'"),
        ("line 14: b, positive", "empty"),
    ]
    for problem, (place, message) in zip(found, expected, strict=True):
        assert problem.startswith(place + ": ")
        assert message in problem


@pytest.mark.parametrize(
    ("followup_set", "expected"),
    [
        (a_set(("a", "x", 1)), "a, negative: empty"),
        (a_set(("a", "x", -1)), "a, positive: empty"),
        (a_set(), "categories: empty"),
        (a_set(("a", " x", 1), ("a", "y", -1)), "a, positive 1: space at the beginning or end"),
        (a_set(("a", "x", 1), ("a", "y\u00a0", -1)), "a, negative 1: space at the beginning"),
        (a_set(("a", "", 1), ("a", "y", -1)), "a, positive 1: empty text"),
        (a_set(("a", "x\ny", 1), ("a", "y", -1)), "a, positive 1: line break"),
        (a_set(("a", "\ud83d", 1), ("a", "y", -1)), "a, positive 1: half of a surrogate pair"),
        (a_set(("a", "x", 1), ("a", "x", 1), ("a", "y", -1)), "a, positive 2: duplicate: 'x'"),
        (a_set(("a", "x", 1), ("a", "x", -1)), "a, negative 1: text in both polarities"),
        (a_set(("a", "I'm", 1), ("a", "I’m", -1)), "a, negative 1: mixed apostrophes"),
        (a_set(("a", "I'm, I’m", 1), ("a", "y", -1)), "a, positive 1: mixed apostrophes"),
        (a_set(("a", "x", 1), ("a", "y", -1), a=0.0), "weights: all are 0"),
        (a_set(("a", "x", 1), ("a", "y", -1), a=float("nan")), "a, weight: expected a finite"),
        (a_set(("a", "x", 1), ("a", "y", -1), a=-0.5), "a, weight: expected a finite number >= 0"),
    ],
)
def test_problems_finds_one_thing_wrong(followup_set: FollowUpSet, expected: str):
    (problem,) = followups.problems(followup_set)
    assert problem.startswith(expected)


def test_a_duplicate_is_found_across_categories():
    twice = a_set(("a", "x", 1), ("a", "y", -1), ("b", "x", 1), ("b", "y", -1))
    assert followups.problems(twice) == (
        "b, positive 1: duplicate: 'x' is also a, positive 1",
        "b, negative 1: duplicate: 'y' is also a, negative 1",
    )


def test_a_category_without_any_text_is_found_by_its_weight():
    hollow = a_set(("a", "x", 1), ("a", "y", -1), a=1.0, b=1.0)
    assert [p.partition(":")[0] for p in followups.problems(hollow)] == [
        "b, positive",
        "b, negative",
    ]


def test_quotation_marks_are_no_apostrophes():
    assert followups.problems(a_set(("a", "It's ‘fine’", 1), ("a", "Isn't 'fine'", -1))) == ()


# --- digest and to_yaml ---

PAIR = a_set(("a", "x", 1), ("a", "y", -1), ("b", "z", 1), ("b", "w", -1))


def test_digest_is_sha256_of_the_canonical_content():
    canonical = '{"followups":[["a",1,"\\u00e9"],["a",-1,"y"]],"weights":[["a",1.0]]}'
    expected = hashlib.sha256(canonical.encode()).hexdigest()
    assert followups.digest(a_set(("a", "é", 1), ("a", "y", -1))) == expected


def test_digest_passes_over_what_changes_no_number():
    renamed = replace(PAIR, name="n", language="de", licence="l", source="s")
    reordered = replace(PAIR, weights={"b": 1.0, "a": 1.0})
    assert followups.digest(renamed) == followups.digest(reordered) == followups.digest(PAIR)


@pytest.mark.parametrize(
    "other",
    [
        a_set(("a", "x.", 1), ("a", "y", -1), ("b", "z", 1), ("b", "w", -1)),
        a_set(("c", "x", 1), ("c", "y", -1), ("b", "z", 1), ("b", "w", -1)),
        a_set(("a", "x", -1), ("a", "y", 1), ("b", "z", 1), ("b", "w", -1)),
        a_set(("b", "z", 1), ("b", "w", -1), ("a", "x", 1), ("a", "y", -1)),
        replace(PAIR, weights={"a": 1.0, "b": 2.0}),
        replace(PAIR, followups=PAIR.followups[:-1]),
        a_set(("a", 'x",1],["a",1,"x', 1), ("a", "y", -1), ("b", "z", 1), ("b", "w", -1)),
    ],
)
def test_digest_sees_what_changes_a_number(other: FollowUpSet):
    assert followups.digest(other) != followups.digest(PAIR)


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
sides = st.lists(texts, min_size=1, max_size=3)
weights = st.floats(min_value=0.001, max_value=1e300)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["no", "12", "null", "~", "2024-01-01", "a: b", "- x", "# x"]) | names,
    content=st.dictionaries(names, st.tuples(weights, sides, sides), min_size=1, max_size=3),
)
def test_a_written_set_is_read_back_the_same(tmp_path_factory, name: str, content: dict):
    made = FollowUpSet(
        name,
        "en",
        "",
        "a source",
        tuple(
            FollowUp(text, category, polarity)
            for category, (_, *lists) in content.items()
            for polarity, side in zip((1, -1), lists, strict=True)
            for text in side
        ),
        {category: weight for category, (weight, *_) in content.items()},
    )
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_bytes(followups.to_yaml(made).encode())
    assert followups.load(path) == made


@pytest.mark.parametrize("name", followups.available())
def test_a_shipped_set_is_read_back_the_same(write, name: str):
    shipped = followups.load(name)
    assert followups.load(write(followups.to_yaml(shipped))) == shipped


# --- import_published ---

PUBLISHED = """
import nothing_that_exists
raise SystemExit("this file must never run")
first_neg = ["Don't.", "No."]
first_pos = other = [
    "Yes’s.",
    "Yes, " "joined.",
    "Yes’s.",
]
second_pos: list[str] = ["Sure."]
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
        ("a_pos = ['x']\na_neg = [f'{1}']", r"line 2: expected a string literal .* got `f'\{1\}'`"),
        ("a_pos = [1]\na_neg = ['x']", "got `1`"),
        ("a_pos = [b'x']\na_neg = ['x']", "got `b'x'`"),
        ("a_pos = ['x']", "a, negative: empty"),
        ("a_pos = []\na_neg = ['x']", "a, positive: empty"),
        ("a_pos = ['x']\na_neg = [' ']", "line 2: a, negative 1: empty text"),
    ],
)
def test_what_is_no_published_file_is_refused(write, text: str, message: str):
    with pytest.raises(FollowUpError, match=message):
        followups.import_published(write(text, "utils.py"))


def test_a_set_needs_a_printable_name(write):
    for name in ("", " ", "a\nb"):
        with pytest.raises(FollowUpError, match="cannot be named"):
            followups.import_published(write(PUBLISHED), name)


# --- script_mismatch ---

ENGLISH = "The meeting was moved to Friday, so bring the printed report with you."
CHINESE = "会议改到星期五了，请带上打印好的报告，并提前十分钟到。"
JAPANESE = "会議は金曜日に変わりましたので、印刷した報告書を持ってきてください。"
SCRIPTS = {
    "Latin": ENGLISH,
    "Han": CHINESE,
    "Japanese": JAPANESE,
    "Hangul": "회의가 금요일로 바뀌었으니 보고서를 가져오세요.",
    "Cyrillic": "Встреча перенесена на пятницу, возьмите отчёт.",
    "Arabic": "تم نقل الاجتماع إلى يوم الجمعة فأحضر التقرير.",
    "Devanagari": "बैठक शुक्रवार को होगी इसलिए छपी हुई रिपोर्ट साथ लाएँ।",
}


@pytest.mark.parametrize("own", SCRIPTS)
@pytest.mark.parametrize("theirs", SCRIPTS)
def test_a_set_in_another_script_is_warned_of(own: str, theirs: str):
    warning = followups.script_mismatch(a_set(("a", SCRIPTS[own], 1)), [SCRIPTS[theirs]])
    if own == theirs:
        assert warning is None
    else:
        assert warning is not None
        assert f"{own} script, but the conversations are mostly in {theirs} script" in warning


def test_languages_of_one_script_are_not_told_apart():
    german = ["Das Treffen wurde auf Freitag verschoben, bring den Bericht mit."]
    assert followups.script_mismatch(followups.load("default"), german) is None


@pytest.mark.parametrize("texts", [[], [""], ["1 + 1 = 2 🎉\0"], ["好的"], [CHINESE + ENGLISH]])
def test_too_little_or_mixed_text_is_not_warned_of(texts: list[str]):
    assert followups.script_mismatch(followups.load("default"), texts) is None


def test_a_set_fits_conversations_that_are_mostly_code():
    code = "def total(rows): return sum(rows)  "
    assert followups.script_mismatch(a_set(("a", CHINESE, 1)), [CHINESE + 2 * code]) is None


def test_only_the_beginning_of_endless_conversations_is_looked_at():
    seen = 0

    def endless():
        nonlocal seen
        while True:
            seen += 1
            yield CHINESE + 100_000 * "x"

    short = followups.load("short")
    assert followups.script_mismatch(short, endless()) is None  # 500 of each, mostly x
    assert seen == followups.SAMPLED_TEXTS


def test_followups_loads_no_heavy_library():
    code = "import sys, flr.followups; print({'torch','transformers','pyarrow'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
