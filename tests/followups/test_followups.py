"""Follow-up sets: the shipped ones, reading, hashing, writing."""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr import followups
from flr.errors import FollowUpError
from flr.types import FollowUp, FollowUpSet
from tests.sets import a_set, saved, weighted

CATEGORIES = (
    "understanding",
    "relevance",
    "correctness",
    "engagingness",
    "informativeness",
    "following",
)
HEAD = "name: mine\nlanguage: en\n"


@pytest.fixture
def write(tmp_path: Path):
    return partial(saved, tmp_path)


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


def test_a_text_may_have_a_weight_of_its_own(write):
    loaded = followups.load(
        write(
            HEAD + "categories:\n  a:\n    positive: [{weight: 0.5, text: p}, {text: q}, r]\n"
            "    negative:\n    - text: n\n      weight: 2\n"
        )
    )
    assert [(f.text, f.weight) for f in loaded.followups] == [
        ("p", 0.5),
        ("q", 1.0),
        ("r", 1.0),
        ("n", 2.0),
    ]


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


def test_some_categories_of_a_set(write):
    whole, some = followups.load("default"), followups.load("default:following+relevance")
    assert some.name == "default:relevance+following"
    assert some.followups == tuple(
        one for one in whole.followups if one.category in ("relevance", "following")
    )
    assert followups.part(whole, whole.categories).followups == whole.followups
    path = write("name: mine\nlanguage: en\nlicence: CC0-1.0\nsource: us\ncategories:\n"
                 "  fit: {weight: 3, positive: [Yes.], negative: [No.]}\n"
                 "  rest: {positive: [Good.], negative: [Bad.]}\n")  # fmt: skip
    assert followups.load(f"{path}:fit").weights == {"fit": 3.0}
    assert followups.part(weighted(PAIR, 1.0, 2.0, 3.0, 4.0), ["b"]).followups[0].weight == 3


@pytest.mark.parametrize("wanted", ["", "relevanc", "relevance+", "relevance,correctness"])
def test_a_category_that_is_none(wanted: str):
    with pytest.raises(FollowUpError, match=r"has no category .*; it has understanding, relevance"):
        followups.load(f"default:{wanted}")


def test_an_unknown_name_says_what_is_known():
    with pytest.raises(FollowUpError) as caught:
        followups.load("defualt")
    message = str(caught.value)
    assert "no follow-up set and no file 'defualt'" in message
    assert "Did you mean 'default'?" in message
    assert "Known sets: default, short." in message
    assert "YAML file" in message


PAIR = a_set(("a", "x", 1), ("a", "y", -1), ("b", "z", 1), ("b", "w", -1))


def test_digest_is_sha256_of_the_canonical_content():
    canonical = '{"followups":[["a",1,"\\u00e9"],["a",-1,"y"]],"weights":[["a",1.0]]}'
    expected = hashlib.sha256(canonical.encode()).hexdigest()
    assert followups.digest(a_set(("a", "é", 1), ("a", "y", -1))) == expected


def test_digests_of_the_shipped_sets_are_what_they_were_before_followups_had_weights():
    assert {name: followups.digest(followups.load(name)) for name in followups.available()} == {
        "default": "db3f6285d8035470fbcd6282798581a3ac60406094a77e96af1fb22bc8ee7ac3",
        "short": "6f5e7496ae3dd35188173ad51ad5b1fb7016d8da518606adf1361ac14cb8db41",
    }


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
        weighted(PAIR, 1.0, 0.5, 1.0, 1.0),
        replace(PAIR, followups=PAIR.followups[:-1]),
        a_set(("a", 'x",1],["a",1,"x', 1), ("a", "y", -1), ("b", "z", 1), ("b", "w", -1)),
    ],
)
def test_digest_sees_what_changes_a_number(other: FollowUpSet):
    assert followups.digest(other) != followups.digest(PAIR)


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
weights = st.floats(min_value=0.001, max_value=1e300)
sides = st.lists(st.tuples(texts, st.just(1.0) | weights), min_size=1, max_size=3)


@settings(max_examples=100)
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
            FollowUp(text, category, polarity, own)
            for category, (_, *lists) in content.items()
            for polarity, side in zip((1, -1), lists, strict=True)
            for text, own in side
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
