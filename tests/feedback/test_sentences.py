import pytest

from flr.feedback.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n", []),
        ("One", ["One"]),
        ("One. Two", ["One.", "Two"]),
        ("Thanks! Why?", ["Thanks!", "Why?"]),
        ("It cost 3.50 euros. Fine.", ["It cost 3.50 euros.", "Fine."]),
        ("See e.g. Paris. Fine.", ["See e.g. Paris.", "Fine."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("谢谢。很好！", ["谢谢。", "很好！"]),
        ("Title\n\nText goes on", ["Title", "Text goes on"]),
        ("Well... maybe. Yes", ["Well...", "maybe.", "Yes"]),
    ],
)
def test_sentences_are_told_apart(text: str, expected: list[str]):
    assert list(sentences(text)) == expected


@pytest.mark.parametrize("text", ["It is so. ", "No", ".", "\n", " ", "!? ", "e.g. "])
def test_a_long_text_takes_no_longer_than_it_is(text: str):
    """With a square of its length it would take hours."""
    long = text * 200_000
    assert len(list(sentences(long))) in (0, 1, 200_000)
